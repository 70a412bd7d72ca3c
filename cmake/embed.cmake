# cmake -DIN=FILE -DOUT=FILE.c -DNAME=x -P embed.cmake: the bytes of IN as
# `const unsigned char x[]` and `const size_t x_len`.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes
  "${bytes}")
file(WRITE ${OUT} "#include <stddef.h>
extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_len;
const unsigned char ${NAME}[] = {\n${bytes}\n};
const size_t ${NAME}_len = sizeof(${NAME});
")
