#include "common/mailbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/clock.h"

#define PRODUCERS 8
#define LETTERS 20000

struct letter {
	struct mail mail;
	unsigned from, number;
};

struct producer {
	struct mailbox *box;
	struct letter *letters;
	unsigned from;
};

static struct letter *
letter_of(struct mail *mail)
{
	return (struct letter *)((char *)mail - offsetof(struct letter, mail));
}

static bool
is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void
comes_out_in_order(void **state)
{
	struct letter letters[3] = { { .number = 0 }, { .number = 1 },
		{ .number = 2 } };
	struct mailbox box;
	struct mail *mail;

	(void)state;
	assert_int_equal(mailbox_init(&box), 0);
	assert_null(mailbox_take(&box));
	for (unsigned round = 0; round < 3; round++) {
		assert_false(is_readable(mailbox_fd(&box)));
		for (unsigned i = 0; i < 3; i++)
			mailbox_post(&box, &letters[i].mail);
		assert_true(is_readable(mailbox_fd(&box)));
		mail = mailbox_take(&box);
		for (unsigned i = 0; i < 3; i++, mail = mail->next)
			assert_int_equal(letter_of(mail)->number, i);
		assert_null(mail);
		assert_null(mailbox_take(&box));
	}
	mailbox_done(&box);
	mailbox_done(&box);
}

/* The taker may give the same thing back while it walks what it took. */
static void
things_may_go_round(void **state)
{
	struct letter letters[2];
	struct mailbox box;
	struct mail *mail;

	(void)state;
	assert_int_equal(mailbox_init(&box), 0);
	mailbox_post(&box, &letters[0].mail);
	mailbox_post(&box, &letters[1].mail);
	mail = mailbox_take(&box);
	while (mail != NULL) {
		struct mail *next = mail->next;

		mailbox_post(&box, mail);
		mail = next;
	}
	mail = mailbox_take(&box);
	assert_ptr_equal(mail, &letters[0].mail);
	assert_ptr_equal(mail->next, &letters[1].mail);
	assert_null(mail->next->next);
	mailbox_done(&box);
}

static void
waits_no_longer_than_told(void **state)
{
	struct mailbox box;
	struct letter letter;
	uint64_t start = clock_mono_ms();

	(void)state;
	assert_int_equal(mailbox_init(&box), 0);
	assert_null(mailbox_wait(&box, 0));
	assert_null(mailbox_wait(&box, 30));
	assert_true(clock_mono_ms() - start >= 29);
	mailbox_post(&box, &letter.mail);
	assert_ptr_equal(mailbox_wait(&box, -1), &letter.mail);
	mailbox_done(&box);
}

static void *
produce(void *arg)
{
	struct producer *p = arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		p->letters[i].from = p->from;
		p->letters[i].number = i;
		mailbox_post(p->box, &p->letters[i].mail);
	}
	return NULL;
}

/* Many write at once; all arrives, once, each writer's in his order. A lost
 * wake-up shows as a wait of 10 s. */
static void
many_producers(void **state)
{
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	unsigned expected[PRODUCERS] = { 0 };
	unsigned got = 0;
	struct mailbox box;

	(void)state;
	assert_int_equal(mailbox_init(&box), 0);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){ &box,
			calloc(LETTERS, sizeof(struct letter)), i };
		assert_non_null(producers[i].letters);
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, produce, &producers[i]),
		    0);
	while (got < PRODUCERS * LETTERS) {
		uint64_t start = clock_mono_ms();
		struct mail *mail = mailbox_wait(&box, 10000);

		assert_true(mail != NULL || clock_mono_ms() - start < 10000);
		for (; mail != NULL; mail = mail->next, got++) {
			struct letter *l = letter_of(mail);

			assert_int_equal(l->number, expected[l->from]);
			expected[l->from]++;
		}
	}
	for (unsigned i = 0; i < PRODUCERS; i++) {
		pthread_join(threads[i], NULL);
		free(producers[i].letters);
	}
	assert_null(mailbox_take(&box));
	mailbox_done(&box);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_out_in_order),
		cmocka_unit_test(things_may_go_round),
		cmocka_unit_test(waits_no_longer_than_told),
		cmocka_unit_test(many_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
