#include "common/proc.h"
#include "router/router.h"

static int
open_router(struct proc *p)
{
	struct router *r;
	int result = router_new(p, &r);

	if (result == 0)
		p->state = r;
	return result;
}

static bool
is_ready(struct proc *p, struct buf *why)
{
	return router_ready(p->state, why);
}

static void
drain(struct proc *p)
{
	router_drain(p->state);
}

static bool
is_drained(struct proc *p)
{
	return router_drained(p->state);
}

static void
close_router(struct proc *p)
{
	router_free(p->state);
	p->state = NULL;
}

static int
metrics(struct proc *p, struct buf *out)
{
	return router_metrics(p->state, out);
}

int
main(int argc, char **argv)
{
	static const struct proc_ops ops = {
		.stage = STAGE_ROUTER,
		.open = open_router,
		.ready = is_ready,
		.drain = drain,
		.drained = is_drained,
		.close = close_router,
		.metrics = metrics,
	};

	return proc_main(&ops, argc, argv);
}
