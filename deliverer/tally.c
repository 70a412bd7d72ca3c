#include "deliverer/tally.h"

#include <inttypes.h>

#define PREFIX "sluice_deliverer_"

/* Upper bounds; the last bucket has none. */
static const uint64_t bounds_ms[TALLY_BUCKETS - 1] = { 1, 2, 5, 10, 50, 100,
	500, 1000, 5000, 10000, 60000 };

static const char *const verdicts[MSG_VERDICT_MAX] = {
	[MSG_VERDICT_DELIVERED] = "delivered",
	[MSG_VERDICT_RETRY] = "retry",
	[MSG_VERDICT_GIVE_UP] = "give_up",
	[MSG_VERDICT_DISABLE] = "disable",
};

static const char *const classes[TALLY_CLASSES] = { "none", "1xx", "2xx", "3xx",
	"4xx", "5xx" };

static const char *const reasons[UNSENT_MAX] = {
	[UNSENT_FENCED] = "fenced",
	[UNSENT_DRAINED] = "drain",
	[UNSENT_FULL] = "full",
};

void
tally_attempt(struct tally *t, enum msg_verdict verdict, unsigned status,
    uint64_t duration_ms)
{
	unsigned class = status / 100, i = 0;

	if (class >= TALLY_CLASSES)
		class = TALLY_CLASSES - 1;
	t->attempts[verdict][class]++;
	while (i < TALLY_BUCKETS - 1 && duration_ms > bounds_ms[i])
		i++;
	t->buckets[i]++;
	t->count++;
	t->duration_ms += duration_ms;
}

static int
attempt_lines(const struct tally *t, struct buf *out)
{
	int r = buf_add_text(out, "# TYPE " PREFIX "attempts_total counter\n");

	for (unsigned v = MSG_VERDICT_NONE + 1; v < MSG_VERDICT_MAX; v++)
		for (unsigned c = 0; r == 0 && c < TALLY_CLASSES; c++)
			if (t->attempts[v][c] > 0)
				r = buf_addf(out,
				    PREFIX "attempts_total{verdict=\"%s\","
					   "status=\"%s\"} %" PRIu64 "\n",
				    verdicts[v], classes[c], t->attempts[v][c]);
	return r;
}

static int
time_lines(const struct tally *t, struct buf *out)
{
	uint64_t sum = 0;
	int r =
	    buf_add_text(out, "# TYPE " PREFIX "attempt_seconds histogram\n");

	for (unsigned i = 0; r == 0 && i < TALLY_BUCKETS - 1; i++) {
		sum += t->buckets[i];
		r = buf_addf(out,
		    PREFIX "attempt_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
		    (double)bounds_ms[i] / 1000, sum);
	}
	if (r == 0)
		r = buf_addf(out,
		    PREFIX "attempt_seconds_bucket{le=\"+Inf\"} %" PRIu64
			   "\n" PREFIX "attempt_seconds_sum %.3f\n" PREFIX
			   "attempt_seconds_count %" PRIu64 "\n",
		    t->count, (double)t->duration_ms / 1000, t->count);
	return r;
}

int
tally_metrics(const struct tally *t, struct buf *out)
{
	int r = attempt_lines(t, out);

	if (r == 0)
		r = time_lines(t, out);
	if (r == 0)
		r = buf_add_text(
		    out, "# TYPE " PREFIX "released_total counter\n");
	for (unsigned i = UNSENT_NOT + 1; r == 0 && i < UNSENT_MAX; i++)
		r = buf_addf(out,
		    PREFIX "released_total{reason=\"%s\"} %" PRIu64 "\n",
		    reasons[i], t->unsent[i]);
	if (r == 0)
		r = buf_addf(out,
		    "# TYPE " PREFIX "fences_total counter\n" PREFIX
		    "fences_total %" PRIu64 "\n# TYPE " PREFIX
		    "probes_total counter\n" PREFIX "probes_total %" PRIu64
		    "\n",
		    t->fences, t->probes);
	return r;
}
