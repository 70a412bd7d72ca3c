/*
 * Named places where a test can make a process die.
 *
 * SLUICE_FAIL_POINT=NAME[:N] kills the process with SIGKILL the Nth time (the
 * first by default) that it passes fail_point("NAME"). Costs one compare when
 * not set.
 */
#ifndef SLUICE_FAIL_POINT_H
#define SLUICE_FAIL_POINT_H

/* text as in SLUICE_FAIL_POINT; "" sets none. Kept by pointer. */
void fail_point_set(const char *text);
void fail_point(const char *name);

#endif
