/*
 * What all five processes do alike, from main() to exit.
 *
 * proc_main() reads the arguments (--help, --version, --show-config,
 * --healthcheck and --readycheck, which ask the admin port of a running one
 * and say it in the exit status, or a command of the stage) and the
 * configuration, claims the instance's slot,
 * opens the admin port (/healthz, /readyz, /metrics), calls open(), prints
 * `ready NAME ...` on stdout when ready() first says so, and runs the loop.
 * SIGTERM or SIGINT drains: drain() once, then drained() on every tick until
 * it says true or SLUICE_DRAIN is over; a second signal ends at once. It is
 * safe as PID 1. Exit status: 0 after a drain, 1 after an error that was
 * logged, 2 for wrong arguments or configuration.
 */
#ifndef SLUICE_PROC_H
#define SLUICE_PROC_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/config.h"
#include "common/loop.h"
#include "common/wiring.h"

#define PROC_TICK_MS 250

struct proc {
	enum stage stage;
	struct config config;
	char instance[64]; /* SLUICE_INSTANCE, or HOST/STAGE-N */
	struct loop *loop;
	bool draining;
	void *state; /* the stage's own, set by open() */
};

struct proc_ops {
	enum stage stage;
	/* Sockets, files, threads. -errno after it has logged why. */
	int (*open)(struct proc *p);
	/* Ready for work? Else adds why not, for /readyz. */
	bool (*ready)(struct proc *p, struct buf *why);
	/* Adds to the ready line, as " http=127.0.0.1:8080". NULL: nothing. */
	int (*describe)(struct proc *p, struct buf *out);
	/* Take nothing new. */
	void (*drain)(struct proc *p);
	bool (*drained)(struct proc *p);
	/* Frees what open() made; state may be half-made. */
	void (*close)(struct proc *p);
	/* Lines of the Prometheus text format 0.0.4. NULL: nothing. */
	int (*metrics)(struct proc *p, struct buf *out);
	/* `sluice-STAGE WORD ...`: exit status, or -1 when it is no command.
	 * Runs after the configuration, before anything is opened. */
	int (*command)(struct proc *p, int argc, char **argv);
	const char *command_help; /* lines for --help, or NULL */
};

int proc_main(const struct proc_ops *ops, int argc, char **argv);
/* Ends the process with status 1 after the current handler: for what must not
 * go on, as a failed fdatasync. Log the reason first. Any thread may instead
 * call abort()-free _exit after logging; see log.h. */
void proc_fail(struct proc *p);

#endif
