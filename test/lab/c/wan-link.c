/*
 * wan-link: a WAN between two TUN devices, for kernels without netem. What is read from one is written to the other later,
 * or never. Order is kept. The devices are made in the namespace this runs in; wan.ts moves them where they belong.
 *
 *   wan-link DEVICE_A DEVICE_B [name=value ...]
 *     delay=MS         one way
 *     jitter=MS        up to so much more, evenly spread
 *     loss=PERCENT     each packet by itself
 *     enter=PERCENT    Gilbert: from good to bad, per packet; in the bad state everything is lost
 *     leave=PERCENT    from bad to good, per packet
 *     rate=KBIT        per second, each way; 0 no limit
 *     queue=MS         what would wait longer for the rate is dropped (default 1000)
 *     every=MS, outage=MS   from the first `every` on, all packets are lost for `outage` in each period
 *     seed=N
 *
 * Prints "ready MONOTONIC_SECONDS" when the devices exist (outages count from there), one JSON object per SIGUSR1, and one at the
 * end (SIGTERM). Octets are those of IP packets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 16384, SIZE = 2048, BATCH = 64 };
typedef int64_t nanos;

struct packet {
  nanos due;
  int length;
  unsigned char bytes[SIZE];
};

struct way {
  int from, to, bad;
  struct packet *slot;
  unsigned head, tail;
  nanos last_due, line_free;
  uint64_t random;
  uint64_t in, in_octets, out, out_octets, lost, lost_burst, lost_outage, lost_queue, behind_sum;
  nanos behind_max;
};

static struct way ways[2];
static nanos delay, jitter, queue_limit = 1000000000, every, outage, start;
static double loss, enter, leave, rate;
static volatile sig_atomic_t asked, over;

static void ask(int number) {
  if (number == SIGUSR1) asked = 1;
  else over = 1;
}

static nanos now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (nanos)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* xorshift64*: the same seed gives the same losses for the same order of packets. 0 <= result < 1. */
static double chance(struct way *w) {
  uint64_t x = w->random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  w->random = x;
  return (double)((x * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
}

static int open_tun(const char *name) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
    perror("wan-link: tun");
    exit(1);
  }
  return fd;
}

static void option(const char *text) {
  const char *equals = strchr(text, '=');
  double value = equals ? atof(equals + 1) : 0;
  size_t length = equals ? (size_t)(equals - text) : 0;
#define IS(name) (length == sizeof name - 1 && !strncmp(text, name, length))
  if (IS("delay")) delay = value * 1e6;
  else if (IS("jitter")) jitter = value * 1e6;
  else if (IS("loss")) loss = value / 100;
  else if (IS("enter")) enter = value / 100;
  else if (IS("leave")) leave = value / 100;
  else if (IS("rate")) rate = value * 1000 / 8 / 1e9; /* octets per nanosecond */
  else if (IS("queue")) queue_limit = value * 1e6;
  else if (IS("every")) every = value * 1e6;
  else if (IS("outage")) outage = value * 1e6;
  else if (IS("seed")) {
    for (int i = 0; i < 2; i++) ways[i].random = ((uint64_t)value + 1) * 0x9E3779B97F4A7C15ULL + i;
  } else {
    fprintf(stderr, "wan-link: %s is no option\n", text);
    exit(2);
  }
}

/* When the packet leaves the far side; -1: it does not. */
static nanos fate(struct way *w, int length, nanos t) {
  /* Every packet draws the same numbers, whatever becomes of it: outages do not shift the losses after them. */
  double own = chance(w), state = chance(w), late = chance(w);
  w->bad = w->bad ? state >= leave : state < enter;
  if (every > 0 && t - start >= every && (t - start) % every < outage) return w->lost_outage++, -1;
  if (w->bad) return w->lost_burst++, -1;
  if (own < loss) return w->lost++, -1;
  nanos leaves = t;
  if (rate > 0) {
    nanos begins = w->line_free > t ? w->line_free : t;
    if (begins - t > queue_limit) return w->lost_queue++, -1;
    leaves = w->line_free = begins + (nanos)(length / rate);
  }
  nanos due = leaves + delay + (nanos)(jitter * late);
  if (due < w->last_due) due = w->last_due;
  return w->last_due = due;
}

static void take(struct way *w) {
  for (int n = 0; n < BATCH; n++) {
    if (w->tail - w->head >= SLOTS) {
      static unsigned char none[SIZE];
      if (read(w->from, none, SIZE) <= 0) return;
      w->in++;
      w->lost_queue++;
      continue;
    }
    struct packet *p = &w->slot[w->tail % SLOTS];
    p->length = read(w->from, p->bytes, SIZE);
    if (p->length <= 0) return;
    w->in++;
    w->in_octets += p->length;
    p->due = fate(w, p->length, now());
    if (p->due >= 0) w->tail++;
  }
}

static void give(struct way *w, nanos t) {
  while (w->head != w->tail) {
    struct packet *p = &w->slot[w->head % SLOTS];
    if (p->due > t) return;
    nanos behind = t - p->due;
    w->behind_sum += behind;
    if (behind > w->behind_max) w->behind_max = behind;
    w->head++;
    if (write(w->to, p->bytes, p->length) < 0) w->lost_queue++; /* no receiver: as on a wire */
    else w->out++, w->out_octets += p->length;
  }
}

static void tell(void) {
  printf("{\"ways\":[");
  for (int i = 0; i < 2; i++) {
    struct way *w = &ways[i];
    printf("%s{\"in\":%llu,\"inOctets\":%llu,\"out\":%llu,\"outOctets\":%llu,\"lost\":%llu,\"lostInBurst\":%llu,"
           "\"lostInOutage\":%llu,\"lostInQueue\":%llu,\"behindMeanUs\":%.1f,\"behindMaxUs\":%.1f}",
           i ? "," : "", (unsigned long long)w->in, (unsigned long long)w->in_octets, (unsigned long long)w->out,
           (unsigned long long)w->out_octets, (unsigned long long)w->lost, (unsigned long long)w->lost_burst,
           (unsigned long long)w->lost_outage, (unsigned long long)w->lost_queue,
           w->out ? w->behind_sum / 1e3 / w->out : 0, w->behind_max / 1e3);
  }
  puts("]}");
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: wan-link DEVICE_A DEVICE_B [name=value ...]\n");
    return 2;
  }
  option("seed=1");
  for (int i = 3; i < argc; i++) option(argv[i]);
  prctl(PR_SET_TIMERSLACK, 1UL);
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the test that started it */
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_RR, &first) < 0) setpriority(PRIO_PROCESS, 0, -15); /* a wire does not wait for a processor */
  struct sigaction action = {.sa_handler = ask};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  int a = open_tun(argv[1]), b = open_tun(argv[2]);
  ways[0].from = ways[1].to = a;
  ways[1].from = ways[0].to = b;
  for (int i = 0; i < 2; i++) {
    ways[i].slot = malloc(sizeof(struct packet) * SLOTS);
    if (!ways[i].slot) return 1;
  }
  start = now();
  printf("ready %.9f\n", start / 1e9);
  fflush(stdout);
  while (!over) {
    if (asked) {
      asked = 0;
      tell();
    }
    nanos wait = 100000000, t = now();
    for (int i = 0; i < 2; i++) {
      if (ways[i].head == ways[i].tail) continue;
      nanos left = ways[i].slot[ways[i].head % SLOTS].due - t;
      if (left < wait) wait = left > 0 ? left : 0;
    }
    struct pollfd ready[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    struct timespec timeout = {wait / 1000000000, wait % 1000000000};
    if (ppoll(ready, 2, &timeout, NULL) < 0 && errno != EINTR) return 1;
    t = now();
    for (int i = 0; i < 2; i++) give(&ways[i], t);
    for (int i = 0; i < 2; i++) take(&ways[i]);
  }
  tell();
  return 0;
}
