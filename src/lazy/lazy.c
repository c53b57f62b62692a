/* SPDX-License-Identifier: MIT */
/*
 * Loads large libraries when one of their functions is called for the first time.
 *
 * libgit2, libarchive and libcurl bring some 30 further libraries along, whose loading takes 5 ms,
 * while most commands use none of them.  The executable therefore is not linked with them:
 * `generate` writes, for each of their functions that our code uses, a function of the same name
 * that jumps through a slot.  At first the slot leads to lazy_resolve(), which puts the real
 * address into it.  On x86-64 only; elsewhere, in tests and with sanitizers the libraries are
 * linked as usual.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct lazy_symbol {
	const char *name;
	const char *library; /* soname */
};
extern const struct lazy_symbol lazy_symbols[];
extern void *lazy_slots[];

void *lazy_resolve(size_t index);

/* As the loader would: without the library, or with one that lacks a function, we cannot go on. */
static _Noreturn void die(void)
{
	static const char head[] = "deploy: ";
	const char *why = dlerror();
	ssize_t n = write(STDERR_FILENO, head, sizeof(head) - 1);

	why = why != NULL ? why : "cannot load a library";
	n += write(STDERR_FILENO, why, strlen(why));
	n += write(STDERR_FILENO, "\n", 1);
	(void)n;
	_exit(70);
}

/* Called by the first use of a function, from any thread: the same answer each time. */
void *lazy_resolve(size_t index)
{
	void *library = dlopen(lazy_symbols[index].library, RTLD_NOW | RTLD_LOCAL);
	void *address = library != NULL ? dlsym(library, lazy_symbols[index].name) : NULL;

	if (address == NULL) {
		die();
	}
	__atomic_store_n(&lazy_slots[index], address, __ATOMIC_RELEASE);
	return address;
}
