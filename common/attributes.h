/*
 * Compiler attributes that prototypes use, in one place.
 */
#ifndef SLUICE_ATTRIBUTES_H
#define SLUICE_ATTRIBUTES_H

/* The result says whether the call worked; ignoring it is a bug. */
#define SL_MUST_CHECK __attribute__((warn_unused_result))
/* printf-like: format is parameter f, its values start at parameter a. */
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
