#include <errno.h>

#include "common/link_private.h"

int
link_auth_new(struct link *l, struct link_auth **ret)
{
	(void)l;
	(void)ret;
	return -ENOSYS;
}

void
link_auth_free(struct link_auth *a)
{
	(void)a;
}

int
link_auth_serve(struct link_auth *a, zsock_t *router)
{
	(void)a;
	(void)router;
	return -ENOSYS;
}

int
link_auth_connect(
    struct link_auth *a, zsock_t *dealer, enum stage to, unsigned key)
{
	(void)a;
	(void)dealer;
	(void)to;
	(void)key;
	return -ENOSYS;
}

enum stage
link_auth_stage(zmq_msg_t *frame)
{
	(void)frame;
	return STAGE_NONE;
}
