/*
 * An application/x-www-form-urlencoded body as the JSON object it means:
 * names to strings, a[b]=1 an object in an object, a[]=1 and a name that comes
 * again an array. Pure.
 */
#ifndef SLUICE_FORM_BODY_H
#define SLUICE_FORM_BODY_H

#include "common/attributes.h"
#include "common/buf.h"

#define FORM_FIELDS_MAX 1000
#define FORM_NAME_MAX 512
#define FORM_DEPTH_MAX 8

/* Appends the JSON text. -EBADMSG: it is no form (a bad escape, no UTF-8, a
 * name that is a text here and an object there, over a cap). */
int form_body(struct slice body, struct buf *out) SL_MUST_CHECK;

#endif
