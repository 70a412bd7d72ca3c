"""Secrets as the api seals them: AES-256-GCM of the system's libcrypto, since
Python has none of its own."""
import ctypes
import os

_crypto = ctypes.CDLL("libcrypto.so.3")
_crypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
_crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p
_VERSION = b"\x01"
_NONCE, _TAG, _GET_TAG = 12, 16, 0x10


def seal(master, what, secret):
    """secret under the master key for one place, for example "secret:1"."""
    nonce, aad = os.urandom(_NONCE), what.encode()
    out, tag = ctypes.create_string_buffer(len(secret) + 16), ctypes.create_string_buffer(_TAG)
    length, end = ctypes.c_int(), ctypes.c_int()
    context = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(_crypto.EVP_aes_256_gcm())
    done = (
        _crypto.EVP_EncryptInit_ex(context, cipher, None, master, nonce),
        _crypto.EVP_EncryptUpdate(context, None, ctypes.byref(length), aad, len(aad)),
        _crypto.EVP_EncryptUpdate(context, out, ctypes.byref(length), secret, len(secret)),
        _crypto.EVP_EncryptFinal_ex(context, None, ctypes.byref(end)),
        _crypto.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, _TAG, tag),
    )
    _crypto.EVP_CIPHER_CTX_free(context)
    assert done == (1,) * len(done)
    return _VERSION + nonce + out.raw[: length.value] + tag.raw
