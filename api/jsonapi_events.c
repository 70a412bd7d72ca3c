#include "api/jsonapi_events.h"

#include <stdio.h>
#include <string.h>

#include "api/catalogue.h"
#include "api/jsonapi.h"
#include "api/vault_event.h"
#include "common/msg.h"

#define EXAMPLE_ID "0190f1ee-6c54-7b01-90e6-d70100000000"
#define EXAMPLE_TIME_MS UINT64_C(1601451812000)
#define EXAMPLE_ENTITY "12345"
#define EXAMPLE_CONSUMER "test_user_id"
#define WORD_MAX 48

/* Services that examples come from. */
static const struct {
	const char *api, *service;
} services[] = {
	{ "accounting", "quickbooks" },
	{ "ats", "greenhouse" },
	{ "crm", "hubspot" },
	{ "ecommerce", "shopify" },
	{ "file-storage", "onedrive" },
	{ "hris", "bamboohr" },
	{ "issue-tracking", "github" },
	{ "lead", "zoho-crm" },
	{ "pos", "square" },
};

/* What "A thing was done" does not say well. */
static const struct {
	const char *name, *text;
} descriptions[] = {
	{ "vault.connection.callable", "A connection can be called now" },
	{ "vault.connection.token_refresh.failed",
	    "The token of a connection could not be refreshed" },
	{ "vault.connection.token_refresh.pending",
	    "The token of a connection waits for another try to refresh it" },
	{ "vault.connection.token_refresh.recovered",
	    "The token of a connection was refreshed after failures" },
	{ "vault.connection.downstream.degraded",
	    "The service behind a connection answers badly" },
	{ "vault.connection.downstream.recovered",
	    "The service behind a connection answers well again" },
};

/* crm.contact.created */
struct parts {
	char api[WORD_MAX];
	char entity[WORD_MAX];
	const char *action;
};

static bool
split(const char *name, struct parts *ret)
{
	const char *first = strchr(name, '.');
	const char *last = strrchr(name, '.');

	if (first == NULL || first == last)
		return false;
	ret->action = last + 1;
	return slice_copy((struct slice){ (const uint8_t *)name,
			      (size_t)(first - name) },
		   ret->api, sizeof(ret->api)) == 0 &&
	       slice_copy((struct slice){ (const uint8_t *)first + 1,
			      (size_t)(last - first) - 1 },
		   ret->entity, sizeof(ret->entity)) == 0;
}

static json_t *
describe(const char *name, const struct parts *parts)
{
	char words[WORD_MAX];
	size_t i = 0;

	for (i = 0; i < sizeof(descriptions) / sizeof(*descriptions); i++)
		if (strcmp(descriptions[i].name, name) == 0)
			return json_string(descriptions[i].text);
	for (i = 0; parts->entity[i] != '\0'; i++)
		words[i] = strchr("-_", parts->entity[i]) != NULL
			       ? ' '
			       : parts->entity[i];
	words[i] = '\0';
	return json_sprintf("%s %s was %s",
	    strchr("aeio", words[0]) != NULL ? "An" : "A", words,
	    parts->action);
}

static const char *
service_of(const char *api)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
		if (strcmp(services[i].api, api) == 0)
			return services[i].service;
	return "hubspot";
}

/* As entities stand in URLs. */
static json_t *
entity_url(struct api *api, const struct parts *parts)
{
	char word[WORD_MAX + 4];
	size_t len = strlen(parts->entity);
	const char *end = "s";

	memcpy(word, parts->entity, len + 1);
	for (size_t i = 0; i < len; i++)
		if (word[i] == '_')
			word[i] = '-';
	if (len > 1 && word[len - 1] == 'y' &&
	    strchr("aeiou", word[len - 2]) == NULL) {
		word[--len] = '\0';
		end = "ies";
	}
	return json_sprintf("%s/%s/%s%s/" EXAMPLE_ENTITY,
	    api->proc->config.entity_base_url, parts->api, word, end);
}

static json_t *
unified_example(struct api *api, const char *name, const struct parts *parts)
{
	return json_pack("{s:{s:s,s:s,s:s,s:o,s:s,s:s,s:i,s:o,s:s,s:s}}",
	    "payload", "consumer_id", EXAMPLE_CONSUMER, "entity_id",
	    EXAMPLE_ENTITY, "entity_type", parts->entity, "entity_url",
	    entity_url(api, parts), "event_id", EXAMPLE_ID, "event_type", name,
	    "execution_attempt", 1, "occurred_at", call_time(EXAMPLE_TIME_MS),
	    "service_id", service_of(parts->api), "unified_api", parts->api);
}

/* With the attempt's number where a deliverer puts it. */
static json_t *
read_body(struct slice event)
{
	json_t *json = NULL;
	struct buf body;
	struct msg m;

	buf_init(&body, LIMIT_MESSAGE_BYTES);
	if (msg_unpack(event, &m) == 0 && m.hole <= m.body.len &&
	    buf_add(&body, m.body.data, m.hole) == 0 &&
	    buf_add_text(&body, m.hole > 0 ? "1" : "") == 0 &&
	    buf_add(&body, m.body.data + m.hole, m.body.len - m.hole) == 0)
		json = json_loadb((const char *)body.data, body.len, 0, NULL);
	buf_done(&body);
	return json;
}

/* What a connection of the example would tell. */
static json_t *
vault_example(const struct call *c, const char *name)
{
	struct directory_news news = { .type = name };
	struct directory_connection connection = {
		.app = c->app.app,
		.connection = 1,
		.consumer_id = EXAMPLE_CONSUMER,
		.unified_api = "crm",
		.service_id = "hubspot",
		.name = "HubSpot",
		.auth_type = "oauth2",
		.state = "callable",
		.enabled = true,
		.number = 1,
		.created_ms = EXAMPLE_TIME_MS,
		.updated_ms = EXAMPLE_TIME_MS,
	};
	json_t *json = NULL;
	struct buf event;

	buf_init(&event, LIMIT_MESSAGE_BYTES);
	if (id_parse(slice_text(EXAMPLE_ID), &news.custody) == 0 &&
	    id_parse(slice_text(EXAMPLE_ID), &news.request_id) == 0 &&
	    vault_event_pack(&news, c->app.id, &connection, &event) == 0)
		json = read_body(buf_slice(&event));
	buf_done(&event);
	return json;
}

struct listing {
	const struct call *c;
	json_t *data;
};

static void
list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	struct parts parts;
	json_t *example;

	if (!split(name, &parts))
		return;
	example = strcmp(parts.api, "vault") == 0
		      ? vault_example(l->c, name)
		      : unified_example(l->c->api, name, &parts);
	(void)json_array_append_new(
	    l->data, json_pack("{s:s,s:s,s:{s:o,s:o}}", "type", JSONAPI_EVENTS,
			 "id", name, "attributes", "description",
			 describe(name, &parts), "example", example));
}

void
jsonapi_events_list(struct call *c)
{
	struct listing l = { c, json_array() };

	catalogue_each(list_one, &l);
	call_data(c, 200, l.data);
}
