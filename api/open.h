/*
 * Opens what the configuration names, for the process and its commands alike;
 * logs why it cannot.
 */
#ifndef SLUICE_API_OPEN_H
#define SLUICE_API_OPEN_H

#include "api/directory.h"
#include "common/config.h"
#include "common/seal.h"

int open_seal(const struct config *config, struct seal *seal) SL_MUST_CHECK;
/* seal is kept by pointer. */
int open_directory(const struct config *config, const struct seal *seal,
    bool owner, struct directory **ret) SL_MUST_CHECK;

#endif
