/* Lets User-Mode Linux run where the processor has more registers than it knows (AMX, say).

   It keeps 2696 bytes of them for each process, which is where AVX-512's and the protection keys'
   end; Linux takes the registers of the host's processor back whole or not at all. Loaded before
   it, this fills in the rest. Linux 6.13 has no need of it. */
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEADER = 512 };                  /* where the bits of what is in use begin */
static const uint64_t KNOWN = 0x2ff;    /* of x87 to AVX-512, and the protection keys */

static long set_registers(long pid, const struct iovec *given)
{
    /* The stacks of User-Mode Linux are too small for it. */
    static char registers[1 << 16];
    struct iovec whole = {registers, sizeof registers};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0)
        return -1;
    size_t length = given->iov_len < whole.iov_len ? given->iov_len : whole.iov_len;
    memcpy(registers, given->iov_base, length);
    uint64_t used;
    memcpy(&used, registers + HEADER, sizeof used);
    used &= KNOWN;
    memcpy(registers + HEADER, &used, sizeof used);
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* Instead of the C library's, which returns what it peeks at. */
long ptrace(enum __ptrace_request request, ...)
{
    va_list rest;
    va_start(rest, request);
    long pid = va_arg(rest, pid_t);
    uintptr_t address = (uintptr_t)va_arg(rest, void *);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
        return set_registers(pid, data);
    long peeked;
    int peeks = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
    long result = syscall(SYS_ptrace, request, pid, address, peeks ? &peeked : data);
    return peeks && result == 0 ? peeked : result;
}
