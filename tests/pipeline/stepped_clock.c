/* To be preloaded: a wall clock that a test steps while the program runs, as NTP does to a board that woke up in the past.

   The seconds by which it is off are the whole number (8 bytes) in the file $NANOFACE_TEST_CLOCK. sem_timedwait(), with which
   CPython up to 3.10 waits for its locks, ends at a moment of the wall clock, and so follows a step while it waits; here it looks
   every millisecond. Clocks that nobody can set are left as they are. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void look_up(void)
{
    static const int64_t none = 0;
    const char *path = getenv("NANOFACE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, file, 0);
    ahead_s = shared == MAP_FAILED ? &none : shared;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME && ahead_s)
        now->tv_sec += *ahead_s;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec at;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now)
        *now = at.tv_sec;
    return at.tv_sec;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    static const struct timespec pause = {0, 1000000};
    struct timespec now;
    while (sem_trywait(semaphore)) {
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec)) {
            errno = ETIMEDOUT;
            return -1;
        }
        if (nanosleep(&pause, NULL))
            return -1; /* by a signal, as the kernel's would */
    }
    return 0;
}
