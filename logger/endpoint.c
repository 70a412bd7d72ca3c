#include "logger/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "logger/turns.h"

int
endpoints_init(struct endpoints *e, struct schedules *schedules)
{
	int r;

	*e = (struct endpoints){ .schedules = schedules };
	TAILQ_INIT(&e->ready);
	TAILQ_INIT(&e->lifts);
	TAILQ_INIT(&e->holds);
	TAILQ_INIT(&e->gone);
	TAILQ_INIT(&e->resumes);
	r = table_init(&e->apps);
	return r < 0 ? r : table_init(&e->by_number);
}

static void
endpoint_free(struct endpoint *p)
{
	free(p->url);
	free(p->secret);
	free(p->headers);
	free(p);
}

void
endpoints_done(struct endpoints *e)
{
	struct table_node *node;

	while (e->by_number.count > 0 &&
	       (node = table_next(&e->by_number, NULL)) != NULL) {
		table_remove(&e->by_number, node);
		endpoint_free((struct endpoint *)node);
	}
	while (
	    e->apps.count > 0 && (node = table_next(&e->apps, NULL)) != NULL) {
		table_remove(&e->apps, node);
		free(((struct app *)node)->secret);
		free(node);
	}
	table_done(&e->by_number);
	table_done(&e->apps);
	free(e->heap);
}

struct app *
endpoints_app(const struct endpoints *e, uint32_t app)
{
	return (struct app *)table_find(&e->apps, app);
}

struct endpoint *
endpoints_find(const struct endpoints *e, uint32_t subscription)
{
	return (struct endpoint *)table_find(&e->by_number, subscription);
}

/* Unchanged when memory is out. */
static int
set_text(struct text **text, struct slice bytes)
{
	struct text *fresh = NULL;

	if (bytes.len > 0) {
		fresh = malloc(sizeof(*fresh) + bytes.len);
		if (fresh == NULL)
			return -ENOMEM;
		fresh->len = bytes.len;
		memcpy(fresh->bytes, bytes.data, bytes.len);
	}
	free(*text);
	*text = fresh;
	return 0;
}

static struct slice
text_slice(const struct text *text)
{
	if (text == NULL)
		return (struct slice){ NULL, 0 };
	return (struct slice){ text->bytes, text->len };
}

static struct app *
need_app(struct endpoints *e, uint32_t number)
{
	struct app *app = endpoints_app(e, number);

	if (app != NULL)
		return app;
	app = calloc(1, sizeof(*app));
	if (app == NULL)
		return NULL;
	app->app = number;
	for (unsigned i = 0; i < ENDPOINT_LEVELS; i++)
		TAILQ_INIT(&app->ready[i]);
	TAILQ_INIT(&app->over);
	table_add(&e->apps, &app->node, number);
	return app;
}

int
endpoints_put_app(
    struct endpoints *e, const struct msg *entry, uint64_t generation)
{
	struct app *app = need_app(e, (uint32_t)entry->app);

	if (app == NULL)
		return -ENOMEM;
	app->generation = generation;
	if (entry->number < app->number)
		return 0;
	app->number = entry->number;
	app->deleted = entry->deleted;
	app->quota = entry->deleted ? 0 : entry->quota;
	app->limited = slice_is(entry->reason, APP_LIMITED);
	return set_text(&app->secret, entry->secret);
}

int
endpoints_load_app(struct endpoints *e, const struct store_app *from)
{
	struct app *app = need_app(e, from->app);

	if (app == NULL)
		return -ENOMEM;
	app->number = from->number;
	app->quota = from->quota;
	app->usage = from->usage;
	return set_text(&app->secret, from->secret);
}

bool
app_used_up(const struct app *a, uint32_t month)
{
	return a->quota != 0 && a->usage.month == month &&
	       a->usage.events >= a->quota;
}

bool
app_is_over(const struct app *a, uint32_t month)
{
	return app_used_up(a, month) && a->usage.events > a->quota;
}

void
app_used(struct app *a, const struct store_usage *usage)
{
	a->usage = *usage;
}

void
endpoint_set_over(struct endpoints *e, struct endpoint *p, bool over)
{
	struct app *a = p->app;

	if (p->over == over || (over && p->deleted))
		return;
	p->over = over;
	if (over) {
		TAILQ_INSERT_TAIL(&a->over, p, over_entry);
		return;
	}
	TAILQ_REMOVE(&a->over, p, over_entry);
	if (a->lifting && TAILQ_EMPTY(&a->over)) {
		a->lifting = false;
		TAILQ_REMOVE(&e->lifts, a, lift_entry);
	}
}

void
endpoints_lift(struct endpoints *e, struct app *a, uint32_t month)
{
	bool lifting = !TAILQ_EMPTY(&a->over) && !app_is_over(a, month);

	if (lifting == a->lifting)
		return;
	a->lifting = lifting;
	if (lifting)
		TAILQ_INSERT_TAIL(&e->lifts, a, lift_entry);
	else
		TAILQ_REMOVE(&e->lifts, a, lift_entry);
}

/* Makes room for one more in the heap, so that touching cannot fail. */
static int
reserve_heap(struct endpoints *e)
{
	size_t size = e->heap_size ? e->heap_size * 2 : 64;
	struct endpoint **heap;

	if (e->by_number.count + 2 <= e->heap_size)
		return 0;
	heap = realloc(e->heap, size * sizeof(struct endpoint *));
	if (heap == NULL)
		return -ENOMEM;
	e->heap = heap;
	e->heap_size = size;
	return 0;
}

static struct endpoint *
need_endpoint(struct endpoints *e, uint32_t subscription, uint32_t app)
{
	struct endpoint *p = endpoints_find(e, subscription);

	if (p != NULL)
		return p;
	if (reserve_heap(e) < 0)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->app = need_app(e, app);
	if (p->app == NULL) {
		free(p);
		return NULL;
	}
	p->subscription = subscription;
	p->next_due_ms = STORE_NEVER;
	p->schedule = e->schedules->standard;
	window_init(&p->window);
	table_add(&e->by_number, &p->node, subscription);
	return p;
}

static void
clear_hold(struct endpoints *e, struct endpoint *p)
{
	if (p->hold == NULL)
		return;
	p->hold = NULL;
	TAILQ_REMOVE(&e->holds, p, hold_entry);
}

static void
set_deleted(struct endpoints *e, struct endpoint *p, bool deleted)
{
	if (p->deleted == deleted)
		return;
	clear_hold(e, p);
	if (deleted) /* like what is HELD: it goes with its event */
		endpoint_set_over(e, p, false);
	endpoint_set_resumes(e, p, false);
	p->deleted = deleted;
	if (deleted)
		TAILQ_INSERT_TAIL(&e->gone, p, hold_entry);
	else
		TAILQ_REMOVE(&e->gone, p, hold_entry);
}

static int
set_texts(struct endpoints *e, struct endpoint *p, struct slice url,
    struct slice secret, struct slice schedule, struct slice headers)
{
	int r = set_text(&p->url, url);

	if (r == 0)
		r = set_text(&p->secret, secret);
	if (r == 0)
		r = set_text(&p->headers, headers);
	p->schedule = schedules_get(e->schedules, schedule);
	return r;
}

int
endpoints_put(struct endpoints *e, const struct msg *entry, uint64_t generation,
    struct endpoint **ret)
{
	struct endpoint *p;
	bool was_enabled;

	*ret = NULL;
	if (entry->subscription == 0)
		return -EINVAL;
	p = endpoints_find(e, (uint32_t)entry->subscription);
	if (p == NULL && entry->deleted)
		return 0;
	p = need_endpoint(
	    e, (uint32_t)entry->subscription, (uint32_t)entry->app);
	if (p == NULL)
		return -ENOMEM;
	p->generation = generation;
	if (entry->number < p->number)
		return 0;
	if (p->hold != NULL && (entry->number > p->hold_number))
		clear_hold(e, p);
	p->number = entry->number;
	*ret = p;
	if (entry->deleted) {
		set_deleted(e, p, true);
		return 0;
	}
	was_enabled = p->enabled && !p->deleted;
	set_deleted(e, p, false);
	p->enabled = entry->enabled;
	p->timeout_ms = (uint32_t)entry->timeout_ms;
	p->rate = (uint32_t)entry->rate;
	p->http2 = entry->http2;
	p->ordered = entry->ordered;
	/* A new address, or a new start, owes nothing to the old failures. */
	if (!slice_same(text_slice(p->url), entry->url) ||
	    (p->enabled && !was_enabled))
		window_init(&p->window);
	return set_texts(
	    e, p, entry->url, entry->secret, entry->schedule, entry->headers);
}

int
endpoints_load(struct endpoints *e, const struct store_endpoint *from)
{
	struct endpoint *p;

	if (from->deleted && from->next_due_ms == STORE_NEVER)
		return 0;
	p = need_endpoint(e, from->subscription, from->app);
	if (p == NULL)
		return -ENOMEM;
	p->number = from->number;
	p->enabled = from->enabled;
	set_deleted(e, p, from->deleted);
	p->timeout_ms = from->timeout_ms;
	p->rate = from->rate;
	p->http2 = from->http2;
	p->ordered = from->ordered;
	p->success_ms = from->success_ms;
	p->next_due_ms = from->next_due_ms;
	p->backlogged = p->next_due_ms != STORE_NEVER;
	p->held = from->held;
	endpoint_set_over(e, p, from->over && !from->deleted);
	if (from->hold.data != NULL) {
		char word[sizeof(p->hold_word)];

		if (slice_copy(from->hold, word, sizeof(word)) < 0)
			word[0] = '\0';
		endpoint_set_hold(
		    e, p, word, from->hold_delivery, from->hold_ms);
		p->hold_number = from->hold_number;
	}
	return set_texts(
	    e, p, from->url, from->secret, from->schedule, from->headers);
}

void
endpoint_delete(struct endpoints *e, struct endpoint *p)
{
	set_deleted(e, p, true);
}

bool
endpoint_sends(const struct endpoint *p)
{
	return p->deleted || (p->enabled && p->hold == NULL);
}

uint32_t
endpoint_room(const struct endpoint *p)
{
	if (p->ordered)
		return p->out == 0;
	return window_room(&p->window, p->out);
}

bool
endpoint_order_free(const struct endpoint *p)
{
	return !p->ordered || (p->out == 0 && !p->busy && !p->held &&
				  !p->over && p->next_due_ms == STORE_NEVER);
}

void
endpoint_waits(struct endpoint *p, enum msg_state state, uint64_t now_ms)
{
	if (state == MSG_STATE_HELD)
		p->held = true;
	else
		endpoint_due(p, now_ms);
}

uint64_t
endpoint_age(struct endpoint *p, const struct store_taken *t, uint64_t now_ms)
{
	uint64_t age_ms;

	if (!p->ordered)
		return t->age_ms;
	if (p->turn_event != t->event || t->cycle_attempt == 1) {
		p->turn_event = t->event;
		p->turn_ms = now_ms;
	}
	age_ms = now_ms - p->turn_ms;
	return age_ms < t->age_ms ? age_ms : t->age_ms;
}

void
endpoint_set_hold(struct endpoints *e, struct endpoint *p, const char *reason,
    struct id delivery, uint64_t at_ms)
{
	if (p->hold == NULL)
		TAILQ_INSERT_TAIL(&e->holds, p, hold_entry);
	(void)snprintf(p->hold_word, sizeof(p->hold_word), "%s", reason);
	p->hold = p->hold_word;
	p->hold_delivery = delivery;
	p->hold_ms = at_ms;
	p->hold_number = p->number;
}

void
endpoint_set_resumes(struct endpoints *e, struct endpoint *p, bool resumes)
{
	if (p->resumes == resumes)
		return;
	p->resumes = resumes;
	if (resumes)
		TAILQ_INSERT_TAIL(&e->resumes, p, resume_entry);
	else
		TAILQ_REMOVE(&e->resumes, p, resume_entry);
}

void
endpoint_due(struct endpoint *p, uint64_t due_ms)
{
	if (due_ms < p->next_due_ms)
		p->next_due_ms = due_ms;
}

struct store_judge
endpoint_judge(const struct endpoint *p)
{
	return (struct store_judge){
		.success_ms = p->success_ms,
		.failed_enough = schedule_failed_enough(p->schedule),
		.gaps = p->schedule->gaps_ms,
		.gap_count = p->schedule->count,
	};
}

struct slice
endpoint_secret(const struct endpoint *p)
{
	return text_slice(p->secret != NULL ? p->secret : p->app->secret);
}

struct slice
endpoint_url(const struct endpoint *p)
{
	return text_slice(p->url);
}

struct slice
endpoint_headers(const struct endpoint *p)
{
	return text_slice(p->headers);
}

struct slice
endpoint_schedule(const struct endpoints *e, const struct endpoint *p)
{
	if (p->schedule == e->schedules->standard)
		return (struct slice){ NULL, 0 };
	return (struct slice){ (const uint8_t *)p->schedule->text,
		p->schedule->len };
}

/* ---- forgetting -------------------------------------------------------- */

static bool
is_finished(const struct endpoint *p)
{
	return !p->busy && p->out == 0 && p->next_due_ms == STORE_NEVER;
}

void
endpoints_forget(struct endpoints *e)
{
	struct endpoint *next;

	for (struct endpoint *p = TAILQ_FIRST(&e->gone); p != NULL; p = next) {
		next = TAILQ_NEXT(p, hold_entry);
		if (!is_finished(p))
			continue;
		TAILQ_REMOVE(&e->gone, p, hold_entry);
		turns_leave(e, p);
		table_remove(&e->by_number, &p->node);
		endpoint_free(p);
	}
}
