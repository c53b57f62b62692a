/* SPDX-License-Identifier: MIT */
/*
 * Load of a constant rate, to see what users see during a switch: every request
 * has its time on a schedule and is sent then, however slow earlier ones are (an
 * open loop), and its latency counts from that time. One thread, epoll.
 *
 * Built and run by deploy/support/load.
 *
 * usage: load [OPTION]... URL...        (URLs in turn; http://ADDRESS[:PORT] only)
 *   --rate N            requests a second (200)
 *   --connections N     kept connections (16); more are opened when all are busy
 *   --keepalive         reuse connections (default)
 *   --close             a connection for each request
 *   --strict            a request that a kept connection lost before a byte of the
 *                       answer came is a failure; without it, it is sent once more on
 *                       a new connection, as browsers and HTTP libraries do
 *   --host-header H     value of the Host header (default: that of the URL)
 *   --header 'N: V'     a further header
 *   --path P[:SHARE]    path and its weight; several may be given (/)
 *   --expect TEXT       a right body, without its trailing white space; several may be
 *                       given; any other one is a failure
 *   --timeout MS        for each request (10000)
 *   --seconds S | --until-file F    how long; also until SIGTERM or SIGINT
 *   --ready-file F      is made once a first request has been answered well
 *   --json              the result as JSON on stdout; else as text
 * Exit status: 0 no failure, 1 some request failed, 2 usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEAD_MAX = 16384,
	BODY_KEEP = 200, /* bytes of a body that are kept to tell it apart */
	BODIES_MAX = 64,
	REASONS_MAX = 64,
	FAILURES_MAX = 20,
	LIST_MAX = 32,
	CONNS_MAX = 8192,
};

enum state { FREE, CONNECTING, HEAD, BODY, IDLE };

struct target {
	struct sockaddr_in addr;
	char url[128], host[128];
};

struct path {
	char text[512];
	double share;
};

struct request {
	int target, path;
	int64_t due;
	bool retried;
};

struct conn {
	int fd;
	enum state state;
	bool reused, chunked, close_after, until_close;
	int target;
	struct request req;
	int64_t deadline;
	char head[HEAD_MAX + 1];
	size_t head_len;
	int status;
	int64_t left;    /* of the body, or of the chunk */
	int chunk_phase; /* 0 size line, 1 data, 2 line end after data, 3 trailer */
	char line[64];
	size_t line_len;
	char body[BODY_KEEP + 1];
	size_t body_len;
};

struct body_seen {
	char text[BODY_KEEP + 1];
	long count;
	int64_t first, last;
};

struct failure {
	int64_t at;
	int target, path;
	char reason[160];
};

struct reason {
	char text[160];
	long count;
};

static struct {
	double rate;
	int connections;
	bool close, strict, json;
	const char *host, *until, *ready;
	char headers[2048];
	struct path paths[LIST_MAX];
	int npaths;
	double shares;
	const char *expect[LIST_MAX];
	int nexpect;
	struct target targets[LIST_MAX];
	int ntargets;
	int64_t timeout, duration;
} opt = {.rate = 200, .connections = 16, .timeout = INT64_C(10000000)};

static struct {
	long sent, ok, failed, retries, bodies_more;
	struct body_seen bodies[BODIES_MAX];
	int nbodies;
	struct failure failures[FAILURES_MAX];
	int nfailures;
	struct reason reasons[REASONS_MAX];
	int nreasons;
	float *latency;
	size_t nlatency, caplatency;
} out;

static struct conn *conns[CONNS_MAX];
static int nconns, busy, idle;
static int epoll_fd;
static volatile sig_atomic_t told_to_stop;

static void start_request(struct request req);

/* Microseconds. */
static int64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static void usage(const char *why)
{
	fprintf(stderr, "load: %s (see the head of load.c)\n", why);
	exit(2);
}

/* --- results --- */

static void note_body(const char *text)
{
	int64_t now = now_us(CLOCK_REALTIME);
	int i;

	for (i = 0; i < out.nbodies && strcmp(out.bodies[i].text, text) != 0; i++) {
	}
	if (i == BODIES_MAX) {
		out.bodies_more++;
		return;
	}
	if (i == out.nbodies) {
		snprintf(out.bodies[i].text, sizeof(out.bodies[i].text), "%s", text);
		out.bodies[i].first = now;
		out.nbodies++;
	}
	out.bodies[i].count++;
	out.bodies[i].last = now;
}

static void note_failure(const struct request *req, const char *reason)
{
	int i;

	out.failed++;
	if (out.nfailures < FAILURES_MAX) {
		struct failure *f = &out.failures[out.nfailures++];

		f->at = now_us(CLOCK_REALTIME);
		f->target = req->target;
		f->path = req->path;
		snprintf(f->reason, sizeof(f->reason), "%s", reason);
	}
	for (i = 0; i < out.nreasons && strcmp(out.reasons[i].text, reason) != 0; i++) {
	}
	if (i == REASONS_MAX) {
		return;
	}
	if (i == out.nreasons) {
		snprintf(out.reasons[out.nreasons++].text, sizeof(out.reasons[i].text), "%s",
			reason);
	}
	out.reasons[i].count++;
}

static void note_latency(const struct request *req)
{
	if (out.nlatency == out.caplatency) {
		out.caplatency = out.caplatency ? 2 * out.caplatency : 65536;
		out.latency = realloc(out.latency, out.caplatency * sizeof(float));
		if (!out.latency) {
			abort();
		}
	}
	out.latency[out.nlatency++] = (float)(now_us(CLOCK_MONOTONIC) - req->due) / 1000;
}

static void note_answer(struct conn *c)
{
	char text[BODY_KEEP + 1], reason[160];
	size_t n = c->body_len;
	bool right = opt.nexpect == 0;

	memcpy(text, c->body, n);
	while (n && strchr(" \r\n\t", text[n - 1])) {
		n--;
	}
	text[n] = '\0';
	note_latency(&c->req);
	if (c->status < 200 || c->status > 299) {
		snprintf(reason, sizeof(reason), "status %d: %.100s", c->status, text);
		note_failure(&c->req, reason);
		return;
	}
	note_body(text);
	for (int i = 0; i < opt.nexpect; i++) {
		right = right || !strcmp(text, opt.expect[i]);
	}
	if (!right) {
		snprintf(reason, sizeof(reason), "wrong body: %.100s", text);
		note_failure(&c->req, reason);
		return;
	}
	if (!out.ok++ && opt.ready) {
		int fd = open(opt.ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd >= 0) {
			close(fd);
		}
	}
}

/* --- connections --- */

static struct conn *conn_new(void)
{
	for (int i = 0; i < nconns; i++) {
		if (conns[i]->state == FREE) {
			return conns[i];
		}
	}
	if (nconns == CONNS_MAX) {
		return NULL;
	}
	conns[nconns] = calloc(1, sizeof(struct conn));
	if (!conns[nconns]) {
		abort();
	}
	return conns[nconns++];
}

static void conn_close(struct conn *c)
{
	if (c->state == IDLE) {
		idle--;
	} else if (c->state != FREE) {
		busy--;
	}
	close(c->fd);
	c->state = FREE;
}

/* The request of a connection came to nothing; the connection goes with it. */
static void conn_fail(struct conn *c, const char *what, int error)
{
	struct request req = c->req;
	bool idle_one = c->state == IDLE;
	bool stale = c->reused && c->state == HEAD && c->head_len == 0 && !req.retried;
	char reason[160];

	snprintf(reason, sizeof(reason), "%s%s%s", what, error ? ": " : "",
		error ? strerror(error) : "");
	conn_close(c);
	if (idle_one) {
		return;
	}
	if (stale && !opt.strict) {
		out.retries++;
		req.retried = true;
		start_request(req);
		return;
	}
	note_failure(&req, reason);
}

static void send_request(struct conn *c)
{
	const struct target *t = &opt.targets[c->target];
	char text[4096];
	int n = snprintf(text, sizeof(text),
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n%s%s\r\n",
		opt.paths[c->req.path].text, opt.host ? opt.host : t->host, opt.headers,
		opt.close ? "Connection: close\r\n" : "");

	c->state = HEAD;
	c->head_len = c->body_len = c->line_len = 0;
	c->chunk_phase = 0;
	/* A request of one segment: a full socket buffer is not to be feared. */
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		conn_fail(c, "send", errno);
	}
}

static struct conn *idle_conn(int target)
{
	for (int i = 0; i < nconns; i++) {
		if (conns[i]->state == IDLE && conns[i]->target == target) {
			return conns[i];
		}
	}
	return NULL;
}

static void open_conn(struct conn *c)
{
	struct target *t = &opt.targets[c->target];
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		conn_fail(c, "socket", errno);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) ||
		(connect(c->fd, (struct sockaddr *)&t->addr, sizeof(t->addr)) &&
			errno != EINPROGRESS)) {
		conn_fail(c, "connect", errno);
	}
}

static void start_request(struct request req)
{
	struct conn *c = opt.close || req.retried ? NULL : idle_conn(req.target);

	if (c) {
		idle--;
		busy++;
		c->req = req;
		c->reused = true;
		c->deadline = req.due + opt.timeout;
		send_request(c);
		return;
	}
	c = conn_new();
	if (!c) {
		note_failure(&req, "too many requests in flight");
		return;
	}
	c->state = CONNECTING;
	busy++;
	c->req = req;
	c->target = req.target;
	c->reused = false;
	c->head_len = 0;
	c->deadline = req.due + opt.timeout;
	open_conn(c);
}

static void finish(struct conn *c)
{
	note_answer(c);
	if (opt.close || c->close_after || idle >= opt.connections) {
		conn_close(c);
		return;
	}
	c->state = IDLE;
	busy--;
	idle++;
}

static void keep_body(struct conn *c, const char *data, size_t size)
{
	size_t room = BODY_KEEP - c->body_len;
	size_t n = size < room ? size : room;

	memcpy(c->body + c->body_len, data, n);
	c->body_len += n;
}

/* Returns 1 when the body is complete, -1 when it is not HTTP. */
static int feed_chunked(struct conn *c, const char *data, size_t size)
{
	while (size) {
		if (c->chunk_phase == 1) {
			size_t n = (int64_t)size < c->left ? size : (size_t)c->left;

			keep_body(c, data, n);
			data += n;
			size -= n;
			c->left -= (int64_t)n;
			if (!c->left) {
				c->chunk_phase = 2;
				c->line_len = 0;
			}
			continue;
		}
		if (*data != '\n') {
			if (c->line_len < sizeof(c->line) - 1) {
				c->line[c->line_len++] = *data;
			}
			data++;
			size--;
			continue;
		}
		data++;
		size--;
		c->line[c->line_len] = '\0';
		if (c->chunk_phase == 0) {
			char *end;

			c->left = strtol(c->line, &end, 16);
			if (end == c->line) {
				return -1;
			}
			c->chunk_phase = c->left ? 1 : 3;
		} else if (c->chunk_phase == 2) {
			c->chunk_phase = 0;
		} else if (c->line_len <= 1) {
			return 1;
		}
		c->line_len = 0;
	}
	return 0;
}

/* Returns as feed_chunked does. */
static int feed_body(struct conn *c, const char *data, size_t size)
{
	if (c->chunked) {
		return feed_chunked(c, data, size);
	}
	keep_body(c, data, size);
	if (c->until_close) {
		return 0;
	}
	c->left -= (int64_t)size;
	return c->left <= 0;
}

static const char *header(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strchr(head, '\n'); p; p = strchr(p + 1, '\n')) {
		if (!strncasecmp(p + 1, name, len) && p[1 + len] == ':') {
			p += 2 + len;
			return p + strspn(p, " ");
		}
	}
	return NULL;
}

/* Returns as feed_chunked does. */
static int feed_head(struct conn *c, const char *data, size_t size)
{
	size_t room = HEAD_MAX - c->head_len, before = c->head_len;
	size_t n = size < room ? size : room;
	const char *end, *value;
	size_t used;

	memcpy(c->head + c->head_len, data, n);
	c->head_len += n;
	c->head[c->head_len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		return c->head_len == HEAD_MAX ? -1 : 0;
	}
	used = (size_t)(end + 4 - c->head) - before;
	c->head[end + 2 - c->head] = '\0';
	if (sscanf(c->head, "HTTP/1.%*d %d", &c->status) != 1) {
		return -1;
	}
	value = header(c->head, "Connection");
	c->close_after =
		(value && !strncasecmp(value, "close", 5)) || !strncmp(c->head, "HTTP/1.0", 8);
	value = header(c->head, "Transfer-Encoding");
	c->chunked = value && !strncasecmp(value, "chunked", 7);
	value = header(c->head, "Content-Length");
	c->left = value ? strtoll(value, NULL, 10) : 0;
	c->until_close = !c->chunked && !value && c->status != 204 && c->status != 304;
	c->state = BODY;
	if (!c->chunked && !c->until_close && !c->left) {
		return 1;
	}
	return size > used ? feed_body(c, data + used, size - used) : 0;
}

static void on_readable(struct conn *c)
{
	char buf[65536];

	for (;;) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), 0);
		int rc;

		if (n < 0 && errno == EAGAIN) {
			return;
		}
		if (n < 0) {
			conn_fail(c, c->state == HEAD ? "no answer" : "answer cut", errno);
			return;
		}
		if (n == 0) {
			if (c->state == BODY && c->until_close) {
				c->close_after = true;
				finish(c);
			} else {
				conn_fail(c,
					c->state == HEAD && !c->head_len
						? "closed without an answer"
						: "closed within the answer",
					0);
			}
			return;
		}
		if (c->state == IDLE) {
			conn_close(c); /* bytes that nobody asked for */
			return;
		}
		rc = c->state == HEAD ? feed_head(c, buf, (size_t)n) : feed_body(c, buf, (size_t)n);
		if (rc < 0) {
			conn_fail(c, "not HTTP", 0);
			return;
		}
		if (rc > 0) {
			finish(c);
			if (c->state == FREE) {
				return;
			}
		}
	}
}

static void on_event(struct conn *c, uint32_t events)
{
	if (c->state == FREE) {
		return;
	}
	if (c->state == CONNECTING) {
		int error = 0;
		socklen_t len = sizeof(error);

		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			conn_fail(c, "connect", error);
			return;
		}
		if (!(events & EPOLLOUT)) {
			return;
		}
		send_request(c);
		if (c->state == FREE) {
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		on_readable(c);
	}
}

static void check_deadlines(int64_t now)
{
	for (int i = 0; i < nconns; i++) {
		struct conn *c = conns[i];

		if (c->state != FREE && c->state != IDLE && now > c->deadline) {
			c->reused = false; /* slow is not stale */
			conn_fail(c, c->state == CONNECTING ? "timeout at connect" : "timeout", 0);
		}
	}
}

/* --- the schedule --- */

static int next_path(void)
{
	/* Spreads by shares without chance: the path that is most behind is next. */
	static double credit[LIST_MAX];
	int best = 0;

	for (int i = 0; i < opt.npaths; i++) {
		credit[i] += opt.paths[i].share / opt.shares;
		if (credit[i] > credit[best]) {
			best = i;
		}
	}
	credit[best] -= 1;
	return best;
}

static void run(void)
{
	int64_t start = now_us(CLOCK_MONOTONIC), now, next_check = 0, stop_at = 0;
	struct epoll_event events[256];
	bool over = false;
	long n = 0;

	for (;;) {
		int64_t due = start + (int64_t)((double)n * 1e6 / opt.rate), wait;
		int got;

		now = now_us(CLOCK_MONOTONIC);
		if (now >= next_check) {
			check_deadlines(now);
			next_check = now + 20000;
			over = over || told_to_stop || (opt.until && !access(opt.until, F_OK)) ||
			       (opt.duration && now - start >= opt.duration);
		}
		if (over) {
			stop_at = stop_at ? stop_at : now + opt.timeout + 100000;
			if (!busy || now > stop_at) {
				return;
			}
		}
		if (!over && now >= due) {
			start_request((struct request){.target = (int)(n % opt.ntargets),
				.path = next_path(),
				.due = due});
			out.sent++;
			n++;
			wait = 0;
		} else {
			wait = over ? 20000 : due - now;
			wait = wait < next_check - now ? wait : next_check - now;
			wait = wait > 0 ? wait : 0;
		}
		{
			struct timespec ts = {
				.tv_sec = wait / 1000000, .tv_nsec = (wait % 1000000) * 1000};

			got = epoll_pwait2(epoll_fd, events, 256, &ts, NULL);
		}
		for (int i = 0; i < got; i++) {
			on_event(events[i].data.ptr, events[i].events);
		}
	}
}

/* --- printing --- */

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(double p)
{
	return out.nlatency ? (double)out.latency[(size_t)((double)(out.nlatency - 1) * p)] : 0;
}

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '"' || ch == '\\') {
			printf("\\%c", ch);
		} else if (ch < 0x20 || ch >= 0x7f) {
			printf("\\u%04x", ch); /* bytes, not characters: enough to look at */
		} else {
			putchar(ch);
		}
	}
	putchar('"');
}

static void print_json(double seconds)
{
	printf("{\"sent\":%ld,\"ok\":%ld,\"failed\":%ld,\"retries\":%ld,\"seconds\":%.3f,",
		out.sent, out.ok, out.failed, out.retries, seconds);
	printf("\"latency_ms\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f},",
		percentile(0.5), percentile(0.9), percentile(0.99), percentile(1));
	fputs("\"failures\":[", stdout);
	for (int i = 0; i < out.nfailures; i++) {
		const struct failure *f = &out.failures[i];

		printf("%s{\"time\":%.3f,\"url\":\"%s\",\"path\":", i ? "," : "",
			(double)f->at / 1e6, opt.targets[f->target].url);
		print_string(opt.paths[f->path].text);
		fputs(",\"reason\":", stdout);
		print_string(f->reason);
		putchar('}');
	}
	fputs("],\"reasons\":[", stdout);
	for (int i = 0; i < out.nreasons; i++) {
		printf("%s{\"count\":%ld,\"reason\":", i ? "," : "", out.reasons[i].count);
		print_string(out.reasons[i].text);
		putchar('}');
	}
	fputs("],\"bodies\":[", stdout);
	for (int i = 0; i < out.nbodies; i++) {
		const struct body_seen *b = &out.bodies[i];

		printf("%s{\"body\":", i ? "," : "");
		print_string(b->text);
		printf(",\"count\":%ld,\"first\":%.3f,\"last\":%.3f}", b->count,
			(double)b->first / 1e6, (double)b->last / 1e6);
	}
	printf("],\"other_bodies\":%ld}\n", out.bodies_more);
}

static void print_text(double seconds)
{
	printf("%ld of %ld requests failed in %.1f s", out.failed, out.sent, seconds);
	if (out.retries) {
		printf(" (%ld sent again, as browsers do: their kept connection had ended)",
			out.retries);
	}
	putchar('\n');
	printf("latency ms: p50 %.1f  p90 %.1f  p99 %.1f  max %.1f\n", percentile(0.5),
		percentile(0.9), percentile(0.99), percentile(1));
	for (int i = 0; i < out.nbodies; i++) {
		printf("%8ld  %s\n", out.bodies[i].count, out.bodies[i].text);
	}
	for (int i = 0; i < out.nreasons; i++) {
		printf("%8ld  failed: %s\n", out.reasons[i].count, out.reasons[i].text);
	}
}

/* --- options --- */

static void add_path(const char *arg)
{
	struct path *p = &opt.paths[opt.npaths];
	const char *colon = strrchr(arg, ':');
	char *end = NULL;

	if (opt.npaths == LIST_MAX) {
		usage("too many paths");
	}
	opt.npaths++;
	p->share = colon ? strtod(colon + 1, &end) : 1;
	if (!colon || end == colon + 1 || *end || p->share <= 0) {
		p->share = 1;
		colon = NULL;
	}
	snprintf(p->text, sizeof(p->text), "%.*s", (int)(colon ? colon - arg : (long)strlen(arg)),
		arg);
	opt.shares += p->share;
}

/* Nobody may load what is not his own: loopback and private networks only. */
static bool is_ours(uint32_t a)
{
	return a >> 24 == 127 || a >> 24 == 10 || a >> 20 == 0xac1;
}

static void add_target(const char *url)
{
	struct target *t = &opt.targets[opt.ntargets];
	char address[64];
	int port = 80;

	if (opt.ntargets == LIST_MAX) {
		usage("too many URLs");
	}
	if (sscanf(url, "http://%63[0-9.]:%d", address, &port) < 1) {
		usage("a URL is http://ADDRESS[:PORT]");
	}
	t->addr.sin_family = AF_INET;
	t->addr.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, address, &t->addr.sin_addr) != 1 ||
		!is_ours(ntohl(t->addr.sin_addr.s_addr))) {
		usage("not a private address");
	}
	snprintf(t->url, sizeof(t->url), "http://%s:%d", address, port);
	snprintf(t->host, sizeof(t->host), port == 80 ? "%s" : "%s:%d", address, port);
	opt.ntargets++;
}

static void add_header(const char *text)
{
	size_t have = strlen(opt.headers);

	snprintf(opt.headers + have, sizeof(opt.headers) - have, "%s\r\n", text);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"rate", 1, NULL, 'r'},
		{"connections", 1, NULL, 'c'},
		{"keepalive", 0, NULL, 'k'},
		{"close", 0, NULL, 'C'},
		{"strict", 0, NULL, 's'},
		{"host-header", 1, NULL, 'H'},
		{"header", 1, NULL, 'h'},
		{"path", 1, NULL, 'p'},
		{"expect", 1, NULL, 'e'},
		{"timeout", 1, NULL, 't'},
		{"seconds", 1, NULL, 'S'},
		{"until-file", 1, NULL, 'u'},
		{"ready-file", 1, NULL, 'R'},
		{"json", 0, NULL, 'j'},
		{0},
	};
	int ch;

	while ((ch = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (ch) {
		case 'r':
			opt.rate = atof(optarg);
			break;
		case 'c':
			opt.connections = atoi(optarg);
			break;
		case 'k':
			opt.close = false;
			break;
		case 'C':
			opt.close = true;
			break;
		case 's':
			opt.strict = true;
			break;
		case 'H':
			opt.host = optarg;
			break;
		case 'h':
			add_header(optarg);
			break;
		case 'p':
			add_path(optarg);
			break;
		case 'e':
			if (opt.nexpect == LIST_MAX) {
				usage("too many --expect");
			}
			opt.expect[opt.nexpect++] = optarg;
			break;
		case 't':
			opt.timeout = atol(optarg) * INT64_C(1000);
			break;
		case 'S':
			opt.duration = (int64_t)(atof(optarg) * 1e6);
			break;
		case 'u':
			opt.until = optarg;
			break;
		case 'R':
			opt.ready = optarg;
			break;
		case 'j':
			opt.json = true;
			break;
		default:
			usage("unknown option");
		}
	}
	for (; optind < argc; optind++) {
		add_target(argv[optind]);
	}
	if (!opt.npaths) {
		add_path("/");
	}
	if (!opt.ntargets || opt.rate <= 0 || opt.connections < 0) {
		usage("URLs, and a rate above 0");
	}
}

static void on_signal(int sig)
{
	(void)sig;
	told_to_stop = 1;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	int64_t start;
	double seconds;

	parse(argc, argv);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	start = now_us(CLOCK_MONOTONIC);
	run();
	seconds = (double)(now_us(CLOCK_MONOTONIC) - start) / 1e6;
	if (out.nlatency) {
		qsort(out.latency, out.nlatency, sizeof(float), by_value);
	}
	if (opt.json) {
		print_json(seconds);
	} else {
		print_text(seconds);
	}
	return out.failed ? 1 : 0;
}
