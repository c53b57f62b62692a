/* SPDX-License-Identifier: MIT */
/*
 * Packet delay for kernels without netem. Sits between a test host's wire (the
 * bed's end of its veth pair, taken off the bridge) and a tap device that takes
 * its place on the bridge, and holds each Ethernet frame for half of the round
 * trip's delay in either direction. TCP's windows and acknowledgements are thus as
 * slow as on a long line, which a relay of streams would hide.
 *
 *   delay WIRE TAP MILLISECONDS PIDFILE
 *   delay --no-offload INTERFACE    has checksums and segments made in software
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 65536 + 64, QUEUE_MAX = 1 << 16, BATCH = 64 };

struct frame {
	int64_t due; /* ns */
	size_t size;
	unsigned char *data;
};

/* Frames leave in the order they came, for all wait equally long: a ring will do. */
struct queue {
	struct frame *ring;
	size_t head, count;
	int from, to;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void no_offload(const char *name)
{
	static const uint32_t commands[] = {
		ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SSG, ETHTOOL_STXCSUM};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct ethtool_value value = {.cmd = commands[i], .data = 0};
		struct ifreq ifr = {.ifr_data = (char *)&value};

		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
		if (ioctl(fd, SIOCETHTOOL, &ifr) && errno != EOPNOTSUPP) {
			die("delay: ethtool");
		}
	}
	close(fd);
}

static int open_wire(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int one = 1, size = 16 << 20;

	addr.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !addr.sll_ifindex || bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		die("delay: wire");
	}
	/* What we send must not come back to us. */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one))) {
		die("delay: PACKET_IGNORE_OUTGOING");
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static int open_tap(const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr)) {
		die("delay: tap");
	}
	return fd;
}

static void take(struct queue *q, int64_t delay)
{
	static unsigned char buf[FRAME_MAX];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(q->from, buf, sizeof(buf));
		struct frame *f;

		if (n <= 0) {
			return;
		}
		if (q->count == QUEUE_MAX) {
			continue; /* as a router would */
		}
		f = &q->ring[(q->head + q->count) % QUEUE_MAX];
		f->due = now_ns() + delay;
		f->size = (size_t)n;
		f->data = malloc(f->size);
		if (!f->data) {
			continue;
		}
		memcpy(f->data, buf, f->size);
		q->count++;
	}
}

/* Sends what is due; returns when the next one is, or -1. */
static int64_t give(struct queue *q)
{
	while (q->count) {
		struct frame *f = &q->ring[q->head];

		if (f->due > now_ns()) {
			return f->due;
		}
		if (write(q->to, f->data, f->size) < 0 && errno == EAGAIN) {
			return now_ns() + 100000;
		}
		free(f->data);
		q->head = (q->head + 1) % QUEUE_MAX;
		q->count--;
	}
	return -1;
}

/* As the other processes of a bed note themselves: pid and start time. */
static void write_pid(const char *path)
{
	char stat[1024], tmp[4096], *p;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(stat, 1, sizeof(stat) - 1, f) : 0;
	int field = 3;

	if (f) {
		fclose(f);
	}
	stat[n] = '\0';
	p = strrchr(stat, ')');
	for (p = p ? p + 2 : stat; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "we");
	if (!f || !p) {
		die("delay: pid file");
	}
	fprintf(f, "%d %.*s\n", atoi(stat), (int)strcspn(p, " "), p);
	fclose(f);
	if (rename(tmp, path)) {
		die("delay: pid file");
	}
}

int main(int argc, char **argv)
{
	struct queue q[2] = {{.ring = calloc(QUEUE_MAX, sizeof(struct frame))},
		{.ring = calloc(QUEUE_MAX, sizeof(struct frame))}};
	int64_t delay;

	if (argc == 3 && !strcmp(argv[1], "--no-offload")) {
		no_offload(argv[2]);
		return 0;
	}
	if (argc != 5 || !q[0].ring || !q[1].ring) {
		fputs("usage: delay WIRE TAP MILLISECONDS PIDFILE | --no-offload IF\n", stderr);
		return 2;
	}
	delay = (int64_t)atol(argv[3]) * 1000000 / 2;
	q[0].from = q[1].to = open_wire(argv[1]);
	q[1].from = q[0].to = open_tap(argv[2]);
	write_pid(argv[4]);
	for (;;) {
		struct pollfd p[2] = {
			{.fd = q[0].from, .events = POLLIN}, {.fd = q[1].from, .events = POLLIN}};
		struct timespec wait = {0};
		int64_t next = -1;

		for (int i = 0; i < 2; i++) {
			int64_t due = give(&q[i]);

			next = due >= 0 && (next < 0 || due < next) ? due : next;
		}
		if (next >= 0) {
			int64_t left = next - now_ns();

			left = left > 0 ? left : 0;
			wait.tv_sec = left / 1000000000;
			wait.tv_nsec = left % 1000000000;
		}
		if (ppoll(p, 2, next >= 0 ? &wait : NULL, NULL) < 0 && errno != EINTR) {
			die("delay: poll");
		}
		take(&q[0], delay);
		take(&q[1], delay);
	}
}
