#include "api/jsonapi_events.h"

#include "api/catalogue.h"
#include "api/event_example.h"
#include "api/jsonapi.h"

#define EXAMPLE_ID "0190f1ee-6c54-7b01-90e6-d70100000000"
#define EXAMPLE_TIME_MS UINT64_C(1601451812000)

struct listing {
	const struct call *c;
	json_t *data;
};

static void
list_one(void *arg, const char *name)
{
	struct event_example example = { .name = name,
		.at_ms = EXAMPLE_TIME_MS };
	struct listing *l = arg;

	if (id_parse(slice_text(EXAMPLE_ID), &example.id) < 0)
		return;
	(void)json_array_append_new(
	    l->data, json_pack("{s:s,s:s,s:{s:o,s:o}}", "type", JSONAPI_EVENTS,
			 "id", name, "attributes", "description",
			 event_example_describe(name), "example",
			 event_example_body(l->c->api, &l->c->app, &example)));
}

void
jsonapi_events_list(struct call *c)
{
	struct listing l = { c, json_array() };

	catalogue_each(list_one, &l);
	call_data(c, 200, l.data);
}
