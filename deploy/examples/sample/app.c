/* SPDX-License-Identifier: MIT */
/*
 * The sample web application of the tests and the demo. Every behaviour that a
 * test needs is switched by a file under /app (so: by a commit in the
 * application's git repository) or by an environment variable:
 *
 *   PORT             where it listens (3000)
 *   START_DELAY_MS   waits so long before it listens; /app/start-delay-ms does the same
 *   /app/version.txt read once at start; the body of "/" and of "/slow"
 *   /app/unhealthy   "/up" answers 503 with this file's content
 *   /app/crash       prints this file on stderr and exits with status 3 at start
 *   /app/hang        listens never, and ignores SIGTERM: for time-outs
 *   LOG_FORMAT       json: a line of JSON on stdout for each request
 *
 *   /  /up  /health (the same)  /metrics (Prometheus)  /slow?ms=N  /env?name=X  /echo
 *   /stream[?ticks=N]  /bytes?n=N  /log?line=S  /exit?code=N
 *
 * On SIGTERM it stops accepting, answers what it has begun to read, ends its
 * streams, and exits with 0. One thread a connection: it is small, and a slow
 * request then needs no state machine.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024, FILE_MAX = 4096, DRAIN_MS = 60 * 1000 };

static char version[FILE_MAX];
static char hostname[256];
static bool json_logs;
/* Readable for ever once SIGTERM came: every wait has it in its poll set. */
static int stopping_fd;
static atomic_bool stopping;
static atomic_int connections;
static atomic_long requests;

static void sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};

	while (nanosleep(&ts, &ts) && errno == EINTR) {
	}
}

/* Returns false when there is no such file; never more than size - 1 bytes. */
static bool read_file(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f) {
		return false;
	}
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
	return true;
}

static bool write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool respond(int fd, const char *status, const char *type, const char *body, size_t size,
	bool close_after, bool head_only)
{
	/* One send for the usual answer: two would cost a delayed ACK. */
	char buf[8192];
	int n = snprintf(buf, sizeof(buf),
		"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"X-Hostname: %s\r\nX-Version: %.*s\r\n%s\r\n",
		status, type, size, hostname, (int)strcspn(version, "\r\n"), version,
		close_after ? "Connection: close\r\n" : "");
	size_t head = (size_t)n;

	if (head_only) {
		size = 0;
	}
	if (size <= sizeof(buf) - head) {
		memcpy(buf + head, body, size);
		return write_all(fd, buf, head + size);
	}
	return write_all(fd, buf, head) && write_all(fd, body, size);
}

/* The value of a query parameter, not decoded; def when it is not there. */
static long query_number(const char *query, const char *name, long def)
{
	size_t len = strlen(name);

	for (const char *p = query; p && *p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL) {
		if (!strncmp(p, name, len) && p[len] == '=') {
			return strtol(p + len + 1, NULL, 10);
		}
	}
	return def;
}

static void query_text(const char *query, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	out[0] = '\0';
	for (const char *p = query; p && *p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL) {
		if (!strncmp(p, name, len) && p[len] == '=') {
			snprintf(out, size, "%.*s", (int)strcspn(p + len + 1, "&"), p + len + 1);
			return;
		}
	}
}

/* Server-sent events, a tick each 100 ms, until told to stop or ticks are over. */
static bool stream(int fd, long ticks)
{
	char chunk[512], event[256];
	bool more = true;
	int n;

	n = snprintf(chunk, sizeof(chunk),
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
		"X-Hostname: %s\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
		hostname);
	if (!write_all(fd, chunk, (size_t)n)) {
		return false;
	}
	for (long i = 0; more; i++) {
		struct pollfd stop = {.fd = stopping_fd, .events = POLLIN};

		more = poll(&stop, 1, i ? 100 : 0) == 0 && i + 1 != ticks;
		n = snprintf(event, sizeof(event), "event: %s\ndata: %ld %.*s\n\n",
			more ? "tick" : "end", i, (int)strcspn(version, "\r\n") % 200, version);
		n = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n%s", (unsigned)n, event,
			more ? "" : "0\r\n\r\n");
		if (!write_all(fd, chunk, (size_t)n)) {
			return false;
		}
	}
	return false; /* the connection is done */
}

static bool bytes(int fd, long size)
{
	char buf[65536];
	int n = snprintf(buf, sizeof(buf),
		"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
		"Content-Length: %ld\r\n\r\n",
		size);

	if (!write_all(fd, buf, (size_t)n)) {
		return false;
	}
	memset(buf, 'x', sizeof(buf));
	while (size > 0) {
		size_t part = size < (long)sizeof(buf) ? (size_t)size : sizeof(buf);

		if (!write_all(fd, buf, part)) {
			return false;
		}
		size -= (long)part;
	}
	return true;
}

/* Answers one request; returns whether the connection may carry another one. */
static bool answer(int fd, char *request, size_t head_size)
{
	char method[16] = "", target[2048] = "", text[FILE_MAX];
	const char *body = version, *status = "200 OK", *type = "text/plain";
	char *query;
	bool last, head_only;

	if (sscanf(request, "%15s %2047s", method, target) != 2) {
		respond(fd, "400 Bad Request", type, "", 0, true, false);
		return false;
	}
	query = strchr(target, '?');
	if (query) {
		*query++ = '\0';
	}
	last = atomic_load(&stopping) || strcasestr(request, "\r\nConnection: close") ||
	       strstr(request, " HTTP/1.0\r\n");
	head_only = !strcmp(method, "HEAD");
	if (!strcmp(target, "/stream")) {
		return stream(fd, query_number(query, "ticks", 0));
	}
	if (!strcmp(target, "/bytes")) {
		return bytes(fd, query_number(query, "n", 1024)) && !last;
	}
	if (!strcmp(target, "/exit")) {
		_exit((int)query_number(query, "code", 1));
	}
	atomic_fetch_add(&requests, 1);
	if (json_logs) {
		printf("{\"level\":\"info\",\"method\":\"%s\",\"path\":\"%.*s\"}\n", method,
			(int)strcspn(target, "\"\\"), target);
	}
	if (!strcmp(target, "/up") || !strcmp(target, "/health")) {
		body = "ok\n";
		if (read_file("/app/unhealthy", text, sizeof(text))) {
			body = text;
			status = "503 Service Unavailable";
		}
	} else if (!strcmp(target, "/metrics")) {
		snprintf(text, sizeof(text),
			"# TYPE app_requests_total counter\napp_requests_total %ld\n",
			atomic_load(&requests));
		body = text;
	} else if (!strcmp(target, "/slow")) {
		sleep_ms(query_number(query, "ms", 800));
		last = last || atomic_load(&stopping);
	} else if (!strcmp(target, "/env")) {
		char name[256];
		const char *value;

		query_text(query, "name", name, sizeof(name));
		value = getenv(name);
		status = value ? status : "404 Not Found";
		body = value ? value : "";
	} else if (!strcmp(target, "/echo")) {
		request[head_size] = '\0';
		body = request;
	} else if (!strcmp(target, "/log")) {
		query_text(query, "line", text, sizeof(text));
		fprintf(stdout, "%s\n", text);
		body = "logged\n";
	} else if (strcmp(target, "/") != 0) {
		status = "404 Not Found";
		body = "not found\n";
	}
	return respond(fd, status, type, body, strlen(body), last, head_only) && !last;
}

/* Reads a request's head (and drops a body of known length); 0 at the end. */
static size_t read_head(int fd, char *buf, size_t *have)
{
	for (;;) {
		struct pollfd p[2] = {
			{.fd = fd, .events = POLLIN}, {.fd = stopping_fd, .events = POLLIN}};
		char *end;
		ssize_t n;

		buf[*have] = '\0';
		end = strstr(buf, "\r\n\r\n");
		if (end) {
			return (size_t)(end + 4 - buf);
		}
		if (*have == REQUEST_MAX) {
			return 0;
		}
		/*
		 * An idle kept connection ends with the process, but a request that is on
		 * its way is waited for: a proxy may have sent it before it heard of the
		 * switch.
		 */
		poll(p, *have ? 1 : 2, 30000);
		if (!p[0].revents && (p[1].revents & POLLIN) && poll(p, 1, 100) == 0) {
			return 0;
		}
		if (!p[0].revents) {
			return 0;
		}
		n = recv(fd, buf + *have, REQUEST_MAX - *have, 0);
		if (n <= 0) {
			return 0;
		}
		*have += (size_t)n;
	}
}

static bool skip_body(int fd, const char *request, size_t head, size_t *have)
{
	const char *h = strcasestr(request, "\r\nContent-Length:");
	char drop[8192];
	size_t size = h && h < request + head ? strtoul(h + 17, NULL, 10) : 0;
	size_t got = *have - head;

	*have = 0; /* no pipelining: what follows a request before its answer is dropped */
	while (got < size) {
		ssize_t n = recv(fd, drop, sizeof(drop), 0);

		if (n <= 0) {
			return false;
		}
		got += (size_t)n;
	}
	return true;
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg, one = 1;
	char *buf = malloc(REQUEST_MAX + 1);
	size_t have = 0, head;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (buf && (head = read_head(fd, buf, &have))) {
		if (!skip_body(fd, buf, head, &have) || !answer(fd, buf, head)) {
			break;
		}
	}
	shutdown(fd, SHUT_WR);
	close(fd);
	free(buf);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

static int listen_on(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	/* Containers without IPv6 refuse the double-stack socket. */
	rc = fd < 0 ? -1 : 0;
	if (!rc) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		rc = bind(fd, (struct sockaddr *)&any, sizeof(any));
	}
	if (rc) {
		if (fd >= 0) {
			close(fd);
		}
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		rc = bind(fd, (struct sockaddr *)&any4, sizeof(any4));
	}
	if (rc || listen(fd, 1024)) {
		perror("app: listen");
		exit(1);
	}
	return fd;
}

static void wait_before_listening(int signals)
{
	const char *delay = getenv("START_DELAY_MS");
	struct pollfd told = {.fd = signals, .events = POLLIN};
	char text[FILE_MAX];

	if (!delay && read_file("/app/start-delay-ms", text, sizeof(text))) {
		delay = text;
	}
	if (delay && poll(&told, 1, atoi(delay)) > 0) {
		printf("app: stopped before it listened\n");
		exit(0);
	}
}

static void start_or_die(void)
{
	char text[FILE_MAX];

	if (!read_file("/app/version.txt", version, sizeof(version))) {
		snprintf(version, sizeof(version), "unknown\n");
	}
	gethostname(hostname, sizeof(hostname) - 1);
	if (read_file("/app/crash", text, sizeof(text))) {
		fprintf(stderr, "app: cannot start\n%s", text);
		exit(3);
	}
	if (read_file("/app/hang", text, sizeof(text))) {
		fprintf(stderr, "app: hanging\n");
		signal(SIGTERM, SIG_IGN);
		for (;;) {
			pause();
		}
	}
}

/* Ends when it was told to and nobody waits to be accepted: closing would reset them. */
static void accept_until_told(int listener, int signals)
{
	for (;;) {
		struct pollfd p[2] = {
			{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
		pthread_t thread;
		int fd;

		if (poll(p, 2, -1) < 0) {
			continue;
		}
		if (p[1].revents && !p[0].revents) {
			return;
		}
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			continue;
		}
		atomic_fetch_add(&connections, 1);
		if (pthread_create(&thread, NULL, serve, (void *)(long)fd)) {
			close(fd);
			atomic_fetch_sub(&connections, 1);
			continue;
		}
		pthread_detach(thread);
	}
}

int main(void)
{
	const char *port = getenv("PORT"), *format = getenv("LOG_FORMAT");
	int listener, signals;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	json_logs = format && !strcmp(format, "json");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	start_or_die();
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	wait_before_listening(signals);
	stopping_fd = eventfd(0, EFD_CLOEXEC);
	listener = listen_on(port ? atoi(port) : 3000);
	printf("app: version %.*s listening on %s\n", (int)strcspn(version, "\r\n"), version,
		port ? port : "3000");
	accept_until_told(listener, signals);

	printf("app: stopping, %d connections open\n", atomic_load(&connections));
	close(listener);
	atomic_store(&stopping, true);
	eventfd_write(stopping_fd, 1);
	for (int waited = 0; atomic_load(&connections) && waited < DRAIN_MS; waited += 5) {
		sleep_ms(5);
	}
	printf("app: stopped\n");
	return 0;
}
