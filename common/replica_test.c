#include "common/replica.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define IDS_MAX 16

/* An owner with one record per subscription number. */
struct owner {
	struct replica replica;
	uint64_t generation[IDS_MAX]; /* 0: not there */
	unsigned begun, completed, changed;
	uint64_t number;
};

static void
on_begin(void *arg, uint64_t generation)
{
	struct owner *o = arg;

	o->begun++;
	assert_int_equal(generation, o->begun);
}

static void
on_entry(void *arg, const struct msg *entry, uint64_t generation)
{
	struct owner *o = arg;

	assert_true(entry->subscription < IDS_MAX);
	o->generation[entry->subscription] = entry->deleted ? 0 : generation;
}

static void
on_complete(void *arg, uint64_t number, uint64_t generation)
{
	struct owner *o = arg;

	o->completed++;
	o->number = number;
	for (unsigned i = 0; i < IDS_MAX; i++)
		if (o->generation[i] < generation)
			o->generation[i] = 0;
}

static void
on_change(void *arg, uint64_t number)
{
	struct owner *o = arg;

	o->changed++;
	o->number = number;
}

static const struct replica_ops ops = { on_begin, on_entry, on_complete,
	on_change };

static int
set_up(void **state)
{
	static struct owner owner;

	memset(&owner, 0, sizeof(owner));
	replica_init(&owner.replica, &ops, &owner);
	*state = &owner;
	return 0;
}

/* subscription 0: no entry; negative: deleted. */
static int
feed(struct owner *o, uint64_t session, enum msg_phase phase, uint64_t part,
    uint64_t number, int subscription)
{
	struct msg entry = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 1,
		.number = number,
		.id = slice_text("id"),
		.deleted = subscription < 0,
		.subscription = (uint64_t)(subscription < 0 ? -subscription
							    : subscription) };
	struct msg directory = { .type = MSG_DIRECTORY,
		.phase = phase,
		.part = part,
		.number = number };
	struct buf records;
	int r;

	buf_init(&records, 4096);
	if (subscription != 0) {
		assert_int_equal(msg_pack_record(&entry, &records), 0);
		directory.entries.packed = buf_slice(&records);
		directory.entries.count = 1;
	}
	r = replica_message(&o->replica, session, &directory);
	buf_done(&records);
	return r;
}

static void
test_snapshot_then_changes(void **state)
{
	struct owner *o = *state;

	assert_false(replica_complete(&o->replica));
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 1, 5, 2), 0);
	assert_false(replica_complete(&o->replica));
	assert_int_equal(replica_number(&o->replica), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), 0);
	assert_true(replica_complete(&o->replica));
	assert_true(replica_live(&o->replica));
	assert_int_equal(replica_number(&o->replica), 5);
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 6, 3), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 9, -1), 0);
	assert_int_equal(replica_number(&o->replica), 9);
	assert_int_equal(o->changed, 2);
	assert_int_equal(o->generation[1], 0);
	assert_int_equal(o->generation[2], 1);
	assert_int_equal(o->generation[3], 1);
}

static void
test_old_content_stays_until_the_new_is_whole(void **state)
{
	struct owner *o = *state;

	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 2), 0);
	replica_down(&o->replica, 7);
	assert_true(replica_complete(&o->replica));
	assert_false(replica_live(&o->replica));
	assert_int_equal(feed(o, 8, MSG_PHASE_SNAPSHOT, 0, 9, 1), 0);
	assert_true(replica_complete(&o->replica));
	assert_int_equal(replica_number(&o->replica), 5);
	assert_int_equal(o->generation[2], 1);
	/* A change inside the snapshot is applied, but not yet counted. */
	assert_int_equal(feed(o, 8, MSG_PHASE_CHANGE, 0, 12, 3), 0);
	assert_int_equal(replica_number(&o->replica), 5);
	assert_int_equal(o->changed, 0);
	assert_int_equal(feed(o, 8, MSG_PHASE_SNAPSHOT, 1, 9, 0), 0);
	assert_int_equal(feed(o, 8, MSG_PHASE_COMPLETE, 0, 9, 0), 0);
	assert_int_equal(replica_number(&o->replica), 12);
	assert_int_equal(o->number, 12);
	assert_int_equal(o->generation[1], 2);
	assert_int_equal(o->generation[2], 0);
	assert_int_equal(o->generation[3], 2);
}

static void
test_the_number_is_that_of_the_content(void **state)
{
	struct owner *o = *state;

	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 50, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 50, 0), 0);
	/* An api whose directory was restored from a backup. */
	assert_int_equal(feed(o, 8, MSG_PHASE_SNAPSHOT, 0, 40, 1), 0);
	assert_int_equal(feed(o, 8, MSG_PHASE_COMPLETE, 0, 40, 0), 0);
	assert_int_equal(replica_number(&o->replica), 40);
}

static void
test_the_newest_session_wins(void **state)
{
	struct owner *o = *state;

	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), 0);
	assert_int_equal(feed(o, 8, MSG_PHASE_SNAPSHOT, 0, 6, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 9, 2), 0);
	assert_int_equal(o->generation[2], 0);
	replica_down(&o->replica, 7);
	assert_int_equal(feed(o, 8, MSG_PHASE_COMPLETE, 0, 6, 0), 0);
	assert_int_equal(replica_number(&o->replica), 6);
}

static void
test_what_breaks_a_session(void **state)
{
	struct owner *o = *state;

	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 5, 1), -EPROTO);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), -EPROTO);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 1, 5, 1), -EPROTO);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 2, 5, 1), -EPROTO);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 1, 5, 1), -EPROTO);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), -EPROTO);
	assert_false(replica_complete(&o->replica));

	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 6, 2), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 6, 3), -EPROTO);
	assert_int_equal(o->generation[3], 0);
	/* The number must not pass over what was missed. */
	assert_int_equal(feed(o, 7, MSG_PHASE_CHANGE, 0, 8, 4), -EPROTO);
	assert_int_equal(replica_number(&o->replica), 6);
	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 8, 1), 0);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 8, 0), 0);
	assert_int_equal(replica_number(&o->replica), 8);
}

static void
test_bad_messages(void **state)
{
	struct owner *o = *state;
	struct msg entry = { .type = MSG_ENTRY,
		.kind = MSG_ENTRY_SUBSCRIPTION,
		.app = 1,
		.id = slice_text("id") }; /* no subscription number */
	struct msg d = { .type = MSG_DIRECTORY, .phase = MSG_PHASE_MAX };
	struct buf records;

	assert_int_equal(feed(o, 7, MSG_PHASE_SNAPSHOT, 0, 5, 1), 0);
	assert_int_equal(replica_message(&o->replica, 7, &d), -EBADMSG);

	buf_init(&records, 4096);
	assert_int_equal(msg_pack_record(&entry, &records), 0);
	d.phase = MSG_PHASE_SNAPSHOT;
	d.entries.packed = buf_slice(&records);
	d.entries.count = 1;
	assert_int_equal(replica_message(&o->replica, 7, &d), -EBADMSG);
	assert_int_equal(feed(o, 7, MSG_PHASE_COMPLETE, 0, 5, 0), -EPROTO);
	d.type = MSG_EVENT;
	assert_int_equal(replica_message(&o->replica, 7, &d), -EBADMSG);
	buf_done(&records);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_snapshot_then_changes, set_up),
		cmocka_unit_test_setup(
		    test_old_content_stays_until_the_new_is_whole, set_up),
		cmocka_unit_test_setup(
		    test_the_number_is_that_of_the_content, set_up),
		cmocka_unit_test_setup(test_the_newest_session_wins, set_up),
		cmocka_unit_test_setup(test_what_breaks_a_session, set_up),
		cmocka_unit_test_setup(test_bad_messages, set_up),
	};

	return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
