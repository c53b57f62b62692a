/* SPDX-License-Identifier: MIT */
/*
 * The program that keeps the gate (../gate.c) on a server.  It sends the rules to the kernel,
 * writes "shut", and stays until its standard input ends: the kernel takes the rules away when it
 * does.
 *
 * It runs in a container of the proxy's own image, of which nothing is used, and on whatever the
 * server has for a C library: so without one, some 100 lines that are linked to nothing.
 *
 *   gatekeeper FILE SECONDS     FILE: netlink messages, of which the last one is answered
 *
 * Ends with 0 after SECONDS at most, with 1 and a line on standard output when the kernel refuses.
 */
#include <asm/poll.h>
#include <asm/unistd.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_CWD = -100, READ_ONLY = 0, NETLINK_FAMILY = 16, RAW = 3 };
#define REASON_S 1 /* that the reason can be read */

#if defined(__x86_64__)
/* A fourth argument is 0. */
static long call(long number, long a, long b, long c)
{
	register long fourth __asm__("r10") = 0;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n"
	"\tcall gatekeeper\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl gatekeeper\n");
#endif

static void say(const char *text)
{
	size_t len = 0;
	while (text[len]) {
		len++;
	}
	call(__NR_write, 1, (long)text, (long)len);
}

/* Until there is something at standard input (n = 1), or not at all (0). */
static void wait_for(long n, long seconds)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};
	const long time[2] = {seconds, 0};
	call(__NR_ppoll, (long)&input, n, (long)time);
}

static _Noreturn void refuse(const char *what, long error)
{
	char number[8] = {0};
	int at = sizeof(number) - 1;
	for (long n = error < 0 ? -error : error; at > 0 && (n > 0 || !number[at]); n /= 10) {
		number[--at] = (char)('0' + n % 10);
	}
	say(what);
	say(": error ");
	say(number + at);
	say("\n");
	wait_for(0, REASON_S);
	for (;;) {
		call(__NR_exit_group, 1, 0, 0);
	}
}

static long number_of(const char *text)
{
	long n = 0;
	for (; *text >= '0' && *text <= '9' && n < 1000000; text++) {
		n = n * 10 + *text - '0';
	}
	return n;
}

/* An unconnected netlink socket writes to the kernel. */
static void shut(const char *file)
{
	static char messages[64 << 10];
	static union {
		struct nlmsghdr header;
		char bytes[8 << 10];
	} answer;
	const struct nlmsgerr *verdict = (const struct nlmsgerr *)(&answer.header + 1);
	long fd = call(__NR_openat, AT_CWD, (long)file, READ_ONLY);
	long len = fd < 0 ? fd : call(__NR_read, fd, (long)messages, sizeof(messages));
	if (len <= 0) {
		refuse("cannot read the rules", len);
	}
	long kernel = call(__NR_socket, NETLINK_FAMILY, RAW, NETLINK_NETFILTER);
	long sent = kernel < 0 ? kernel : call(__NR_write, kernel, (long)messages, len);
	if (sent < 0) {
		refuse("the kernel takes no packet filter", sent);
	}
	/* The first answer is an error, or that to the last message: all were taken. */
	long got = call(__NR_read, kernel, (long)answer.bytes, sizeof(answer));
	if (got < (long)(sizeof(answer.header) + sizeof(*verdict)) ||
		answer.header.nlmsg_type != NLMSG_ERROR || verdict->error != 0) {
		refuse("the kernel refuses the packet filter", got < 0 ? got : verdict->error);
	}
}

void gatekeeper(const long *stack); /* from _start: argc, argv as the kernel laid them */
__attribute__((used)) _Noreturn void gatekeeper(const long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);
	if (stack[0] == 3) {
		shut(argv[1]);
		say("shut\n");
		wait_for(1, number_of(argv[2]));
	}
	for (;;) {
		call(__NR_exit_group, stack[0] == 3 ? 0 : 1, 0, 0);
	}
}
