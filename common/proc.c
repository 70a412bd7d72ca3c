#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/healthcheck.h"
#include "common/http.h"
#include "common/log.h"

#define TEXT_MAX (1024 * 1024) /* help, metrics */
#define SLOTS_MAX 1024	       /* processes of one stage in one data folder */
#define ADMIN_CONNECTIONS 16
#define ADMIN_TIMEOUT_MS 5000

/* What proc_main() keeps beside the stage's own struct proc. */
struct run {
	struct proc proc;
	const struct proc_ops *ops;
	struct http *admin;
	int signal_fd;
	int slot_fd;
	bool announced;
	bool failed;
	uint64_t drain_until_ms;
};

void
proc_fail(struct proc *p)
{
	/* proc is the first member of its run. */
	struct run *run = (struct run *)p;

	run->failed = true;
	loop_stop(p->loop);
}

/* ---- arguments -------------------------------------------------------- */

static int
print(struct buf *text)
{
	size_t len = fwrite(text->data, 1, text->len, stdout);

	return len == text->len && fflush(stdout) == 0 ? 0 : 1;
}

static int
print_help(const struct proc_ops *ops)
{
	const char *name = stage_name(ops->stage);
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	r = buf_addf(&text,
	    "Usage: sluice-%s [--help | --version | --show-config |\n"
	    "       --healthcheck | --readycheck]\n",
	    name);
	if (r == 0 && ops->command_help != NULL)
		r = buf_add_text(&text, ops->command_help);
	if (r == 0)
		r = buf_addf(&text,
		    "\nThe %s of Sluice. It is configured by environment "
		    "variables:\n\n",
		    name);
	if (r == 0)
		r = config_help(ops->stage, &text);
	r = r < 0 ? 1 : print(&text);
	buf_done(&text);
	return r;
}

static int
print_config(const struct proc_ops *ops, const struct config *config)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	r = config_show(config, ops->stage, &text);
	r = r < 0 ? 1 : print(&text);
	buf_done(&text);
	return r;
}

/* Asks the process that runs with the same SLUICE_ADMIN_HTTP. */
static int
check(const struct config *config, const char *path)
{
	int r = healthcheck_ask(config->admin_http, path);

	if (r == -EINVAL)
		log_error("SLUICE_ADMIN_HTTP=%s has no fixed port to ask",
		    config->admin_http);
	else if (r < 0)
		log_error(
		    "%s on %s: %s", path, config->admin_http, strerror(-r));
	return r < 0 ? 1 : 0;
}

/* An exit status, or -1 to go on and run. */
static int
handle_arguments(
    const struct proc_ops *ops, struct proc *p, int argc, char **argv)
{
	int status = -1;

	if (argc < 2)
		return -1;
	if (!strcmp(argv[1], "--show-config") && argc == 2)
		return print_config(ops, &p->config);
	if (!strcmp(argv[1], "--healthcheck") && argc == 2)
		return check(&p->config, "/healthz");
	if (!strcmp(argv[1], "--readycheck") && argc == 2)
		return check(&p->config, "/readyz");
	if (ops->command != NULL)
		status = ops->command(p, argc - 1, argv + 1);
	if (status >= 0)
		return status;
	log_error("%s: unknown argument; --help lists what there is", argv[1]);
	return 2;
}

/* ---- instance --------------------------------------------------------- */

static int
make_folder(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make folder %s: %s; SLUICE_DATA says where "
			  "data is kept",
		    path, strerror(errno));
		return -errno;
	}
	return 0;
}

/* Holds the lowest free slot of this stage by a lock that ends with us. */
static int
claim_slot(struct run *run, const char *folder)
{
	struct proc *p = &run->proc;
	char host[40] = "localhost";
	char path[PATH_MAX];

	(void)gethostname(host, sizeof(host) - 1);
	for (unsigned slot = 1; slot <= SLOTS_MAX; slot++) {
		int fd;

		if (snprintf(path, sizeof(path), "%s/%s-%u.slot", folder,
			stage_name(p->stage), slot) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			log_error("cannot open %s: %s", path, strerror(errno));
			return -errno;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			run->slot_fd = fd;
			(void)snprintf(p->instance, sizeof(p->instance),
			    "%s/%s-%u", host, stage_name(p->stage), slot);
			return 0;
		}
		close(fd);
	}
	log_error("all %d slots of %s are taken in %s", SLOTS_MAX,
	    stage_name(p->stage), folder);
	return -EBUSY;
}

static int
claim_instance(struct run *run)
{
	struct proc *p = &run->proc;
	char folder[PATH_MAX];
	int r;

	r = make_folder(p->config.data);
	if (r == 0)
		r = config_path(&p->config, "", "run", folder);
	if (r == 0)
		r = make_folder(folder);
	if (r < 0)
		return r;
	if (p->config.instance[0] == '\0')
		return claim_slot(run, folder);
	r = slice_copy(
	    slice_text(p->config.instance), p->instance, sizeof(p->instance));
	if (r < 0)
		log_error("SLUICE_INSTANCE is over %zu bytes",
		    sizeof(p->instance) - 1);
	return r;
}

/* ---- admin port ------------------------------------------------------- */

static void
reply_text(struct http_request *request, unsigned status, struct buf *text)
{
	http_reply_take(request, status, "text/plain; version=0.0.4", text);
}

static void
on_admin(void *arg, struct http_request *request)
{
	struct run *run = arg;
	struct proc *p = &run->proc;
	const char *path = http_path(request);
	struct buf text;

	buf_init(&text, TEXT_MAX);
	if (!strcmp(path, "/healthz")) {
		(void)!buf_add_text(&text, "ok\n");
		reply_text(request, 200, &text);
	} else if (!strcmp(path, "/readyz")) {
		bool ready = !p->draining && run->ops->ready(p, &text);

		if (p->draining)
			(void)!buf_add_text(&text, "draining");
		(void)!buf_add_text(&text, ready ? "ready\n" : "\n");
		reply_text(request, ready ? 200 : 503, &text);
	} else if (!strcmp(path, "/metrics")) {
		if (run->ops->metrics == NULL ||
		    run->ops->metrics(p, &text) == 0)
			reply_text(request, 200, &text);
		else
			http_fail_text(request, HTTP_E_INTERNAL, "no memory");
	} else {
		http_fail_text(request, HTTP_E_NOT_FOUND,
		    "there are /healthz, /readyz and /metrics");
	}
	buf_done(&text);
}

static int
open_admin(struct run *run)
{
	struct http_config config = {
		.address = run->proc.config.admin_http,
		.connections = ADMIN_CONNECTIONS,
		.timeout_ms = ADMIN_TIMEOUT_MS,
		.handler = on_admin,
		.arg = run,
	};
	int r = http_new(run->proc.loop, &config, &run->admin);

	if (r < 0)
		log_error("cannot listen on SLUICE_ADMIN_HTTP=%s: %s",
		    config.address, strerror(-r));
	return r;
}

/* ---- life ------------------------------------------------------------- */

/* `ready NAME admin=... http=...`: for people, supervisors and tests. */
static void
announce(struct run *run)
{
	struct proc *p = &run->proc;
	struct buf line;
	int r;

	buf_init(&line, TEXT_MAX);
	r = buf_addf(&line, "ready %s admin=%s", stage_name(p->stage),
	    http_address(run->admin));
	if (r == 0 && run->ops->describe != NULL)
		r = run->ops->describe(p, &line);
	if (r == 0)
		r = buf_add_text(&line, "\n");
	if (r == 0)
		(void)print(&line);
	buf_done(&line);
	run->announced = true;
}

static void
on_tick(void *arg)
{
	struct run *run = arg;
	struct proc *p = &run->proc;
	struct buf why;

	if (p->draining) {
		if (run->ops->drained(p)) {
			log_info("drained");
			loop_stop(p->loop);
		} else if (loop_now_ms(p->loop) >= run->drain_until_ms) {
			log_warn("SLUICE_DRAIN is over with work in hand");
			loop_stop(p->loop);
		}
		return;
	}
	if (run->announced)
		return;
	buf_init(&why, TEXT_MAX);
	if (run->ops->ready(p, &why))
		announce(run);
	buf_done(&why);
}

static void
on_signal(void *arg)
{
	struct run *run = arg;
	struct proc *p = &run->proc;
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (p->draining) {
		log_warn("second signal: ending at once");
		loop_stop(p->loop);
		return;
	}
	log_info("draining");
	p->draining = true;
	run->drain_until_ms = loop_now_ms(p->loop) + p->config.drain_ms;
	run->ops->drain(p);
	on_tick(run);
}

/* Blocked before any thread exists, so that only the signalfd sees them. */
static int
block_signals(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
start(struct run *run)
{
	struct proc *p = &run->proc;
	int r = claim_instance(run);

	if (r < 0)
		return r;
	run->signal_fd = block_signals();
	if (run->signal_fd < 0)
		return -errno;
	/* Ours are the signals; sockets are closed by their owners. */
	zsys_handler_set(NULL);
	if (zsys_init() == NULL)
		return -EIO;
	p->loop = loop_new();
	if (p->loop == NULL)
		return -ENOMEM;
	r = open_admin(run);
	if (r == 0)
		r = run->ops->open(p);
	if (r >= 0)
		r = loop_add_fd(p->loop, run->signal_fd, on_signal, run);
	if (r == 0)
		r = loop_add_timer(p->loop, PROC_TICK_MS, on_tick, run);
	return r < 0 ? r : 0;
}

static void
finish(struct run *run)
{
	run->ops->close(&run->proc);
	http_free(run->admin);
	loop_free(run->proc.loop);
	zsys_shutdown();
	if (run->signal_fd >= 0)
		close(run->signal_fd);
	if (run->slot_fd >= 0)
		close(run->slot_fd);
}

static enum log_level
parse_level(const char *text)
{
	static const char *const names[LOG_AT_MAX] = { "debug", "info", "warn",
		"error" };

	for (unsigned i = 0; i < LOG_AT_MAX; i++)
		if (!strcmp(text, names[i]))
			return (enum log_level)i;
	return LOG_AT_MAX;
}

static int
set_log_level(const struct config *config, const char *name)
{
	enum log_level level = parse_level(config->log_level);

	if (level == LOG_AT_MAX) {
		log_error("SLUICE_LOG_LEVEL=%s: must be debug, info, warn or "
			  "error",
		    config->log_level);
		return -EINVAL;
	}
	log_init(name, level);
	return 0;
}

int
proc_main(const struct proc_ops *ops, int argc, char **argv)
{
	struct run run = {
		.proc = { .stage = ops->stage },
		.ops = ops,
		.signal_fd = -1,
		.slot_fd = -1,
	};
	const char *name = stage_name(ops->stage);
	int status;

	log_init(name, LOG_AT_INFO);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return print_help(ops);
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("sluice-%s %s\n", name, SLUICE_VERSION);
		return 0;
	}
	if (config_load(&run.proc.config) < 0 ||
	    set_log_level(&run.proc.config, name) < 0)
		return 2;
	status = handle_arguments(ops, &run.proc, argc, argv);
	if (status >= 0)
		return status;
	fail_point_set(run.proc.config.fail_point);
	status = 1;
	if (start(&run) == 0 && loop_run(run.proc.loop) == 0 && !run.failed)
		status = 0;
	finish(&run);
	return status;
}
