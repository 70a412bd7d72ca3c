/* sluice-logger: the only writer of the event store. */
#include "common/proc.h"
#include "logger/logger.h"

static const struct proc_ops ops = {
	.stage = STAGE_LOGGER,
	.open = logger_open,
	.ready = logger_ready,
	.drain = logger_drain,
	.drained = logger_drained,
	.close = logger_close,
	.metrics = logger_metrics,
};

int
main(int argc, char **argv)
{
	return proc_main(&ops, argc, argv);
}
