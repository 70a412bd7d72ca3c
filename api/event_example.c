#include "api/event_example.h"

#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/vault_event.h"
#include "common/msg.h"

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

json_t *
event_example_describe(const char *name)
{
	char words[WORD_MAX];
	struct parts parts;
	size_t i = 0;

	if (!split(name, &parts))
		return NULL;

	for (i = 0; i < sizeof(descriptions) / sizeof(*descriptions); i++)
		if (strcmp(descriptions[i].name, name) == 0)
			return json_string(descriptions[i].text);
	for (i = 0; parts.entity[i] != '\0'; i++)
		words[i] = strchr("-_", parts.entity[i]) != NULL
			       ? ' '
			       : parts.entity[i];
	words[i] = '\0';
	return json_sprintf("%s %s was %s",
	    strchr("aeio", words[0]) != NULL ? "An" : "A", words, parts.action);
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
unified_body(
    struct api *api, const struct event_example *x, const struct parts *parts)
{
	char id[ID_TEXT_SIZE];

	id_text(x->id, id);
	return json_pack("{s:{s:s,s:s,s:s,s:o,s:s,s:s,s:i,s:o,s:s,s:s}}",
	    "payload", "consumer_id", EXAMPLE_CONSUMER, "entity_id",
	    EXAMPLE_ENTITY, "entity_type", parts->entity, "entity_url",
	    entity_url(api, parts), "event_id", id, "event_type", x->name,
	    "execution_attempt", 1, "occurred_at", call_time(x->at_ms),
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

/* What a connection would tell. */
static json_t *
vault_body(const struct directory_app *app, const struct event_example *x)
{
	struct directory_news news = {
		.type = x->name, .custody = x->id, .request_id = x->id
	};
	struct directory_connection connection = {
		.app = app->app,
		.connection = 1,
		.consumer_id = EXAMPLE_CONSUMER,
		.unified_api = "crm",
		.service_id = "hubspot",
		.name = "HubSpot",
		.auth_type = "oauth2",
		.state = "callable",
		.enabled = true,
		.number = 1,
		.created_ms = x->at_ms,
		.updated_ms = x->at_ms,
	};
	json_t *json = NULL;
	struct buf event;

	buf_init(&event, LIMIT_MESSAGE_BYTES);
	if (vault_event_pack(&news, app->id, &connection, &event) == 0)
		json = read_body(buf_slice(&event));
	buf_done(&event);
	return json;
}

json_t *
event_example_body(struct api *api, const struct directory_app *app,
    const struct event_example *example)
{
	struct parts parts;

	if (!split(example->name, &parts))
		return NULL;
	if (strcmp(parts.api, "vault") == 0)
		return vault_body(app, example);
	return unified_body(api, example, &parts);
}
