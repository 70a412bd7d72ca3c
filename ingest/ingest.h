/*
 * The ingest process: what ties its modules together. main.c hands it to
 * proc_main().
 */
#ifndef SLUICE_INGEST_H
#define SLUICE_INGEST_H

#include "common/proc.h"

/* The api may have so many DIRECTORY messages uncompleted with us. */
#define INGEST_DIRECTORY_MESSAGES 64
#define INGEST_DIRECTORY_BYTES (8u * 1024 * 1024)
/* A drain waits so long for what routers have in hand; what is left comes
 * again at the next start. */
#define INGEST_DRAIN_MS 3000

extern const struct proc_ops ingest_ops;

#endif
