/* Prints that it runs. Has no dependencies, not even a C library. Built for each platform of the images here. */

static const char message[] = "app: running\n";

#if defined(__x86_64__)
static void sys_write(const char *text, long length) {
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(1), "D"(1), "S"(text), "d"(length) : "rcx", "r11", "memory");
}
static void sys_exit(int code) {
	__asm__ volatile("syscall" : : "a"(60), "D"(code));
}
#elif defined(__aarch64__)
static void sys_write(const char *text, long length) {
	register long x0 __asm__("x0") = 1;
	register const char *x1 __asm__("x1") = text;
	register long x2 __asm__("x2") = length;
	register long x8 __asm__("x8") = 64;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x8) : "memory");
}
static void sys_exit(int code) {
	register long x0 __asm__("x0") = code;
	register long x8 __asm__("x8") = 93;
	__asm__ volatile("svc 0" : : "r"(x0), "r"(x8));
}
#endif

void _start(void) {
	sys_write(message, sizeof message - 1);
	sys_exit(0);
	for (;;) {
	}
}
