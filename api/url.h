/*
 * What may be a delivery URL, by syntax alone (RFC 3986): http or https in
 * lower case as the published pattern has it, a host, an optional port, and
 * nothing that is not a URL character. Where it may lead is the deliverer's
 * decision.
 */
#ifndef SLUICE_API_URL_H
#define SLUICE_API_URL_H

#include <stdbool.h>

bool url_is_http(const char *text);

#endif
