/*
 * RTP load and sink: every call has two phones that each send a packet of 160 octets of payload every 20 ms and count what comes
 * from the other. The payload carries sender, number and send time.
 * Reads "aPort bPort aTarget bTarget" per call; argv: FILE A_IP B_IP A_TARGET_IP B_TARGET_IP SECONDS WARMUP_SECONDS.
 * Prints "window" when the warm-up is over and, at the end, one JSON object about the packets sent in the window.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_US = 20000, PAYLOAD = 160, HEADER = 12, BUCKETS = 100000 }; /* buckets of 10 us */

struct phone {
  int fd;
  struct sockaddr_in target;
  uint32_t ssrc, timestamp;
  uint16_t sequence;
  double next;
};

static uint64_t histogram[BUCKETS];
static uint64_t sent, received, damaged;
static double window_from, window_to;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct sockaddr_in address(const char *ip, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &a.sin_addr);
  return a;
}

static void open_phone(struct phone *p, int epoll, const char *ip, int port, const char *target, int target_port) {
  p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  int size = 1 << 20;
  setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  struct sockaddr_in local = address(ip, port);
  if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&local, sizeof local) < 0) {
    perror("load: bind");
    exit(1);
  }
  p->target = address(target, target_port);
  p->ssrc = random();
  p->sequence = random();
  p->timestamp = random();
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
  epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event);
}

static void speak(struct phone *p, double at) {
  unsigned char packet[HEADER + PAYLOAD] = {0x80, 0};
  uint16_t sequence = htons(p->sequence++);
  uint32_t timestamp = htonl(p->timestamp), ssrc = htonl(p->ssrc);
  p->timestamp += 160;
  memcpy(packet + 2, &sequence, 2);
  memcpy(packet + 4, &timestamp, 4);
  memcpy(packet + 8, &ssrc, 4);
  memcpy(packet + HEADER, "voip", 4);
  memcpy(packet + HEADER + 8, &at, sizeof at);
  memset(packet + HEADER + 16, 0x5a, PAYLOAD - 16);
  if (at >= window_from && at < window_to) sent++;
  sendto(p->fd, packet, sizeof packet, 0, (struct sockaddr *)&p->target, sizeof p->target);
}

static void hear(struct phone *p, double at) {
  unsigned char packet[2048];
  ssize_t length;
  while ((length = recv(p->fd, packet, sizeof packet, 0)) > 0) {
    double then;
    if (length != HEADER + PAYLOAD || memcmp(packet + HEADER, "voip", 4) || packet[length - 1] != 0x5a) {
      damaged++;
      continue;
    }
    memcpy(&then, packet + HEADER + 8, sizeof then);
    if (then < window_from || then >= window_to) continue;
    received++;
    long bucket = (long)((at - then) * 1e5);
    histogram[bucket < 0 ? 0 : bucket >= BUCKETS ? BUCKETS - 1 : bucket]++;
  }
}

static double percentile(double share) {
  uint64_t wanted = (uint64_t)(received * share), seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen > wanted) return (i + 0.5) / 100;
  }
  return -1;
}

int main(int argc, char **argv) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  FILE *file = argc == 8 ? fopen(argv[1], "r") : NULL;
  if (!file) return 2;
  int epoll = epoll_create1(0), count = 0, a, b, ta, tb;
  static struct phone phones[8192];
  while (count < 8190 && fscanf(file, "%d %d %d %d", &a, &b, &ta, &tb) == 4) {
    open_phone(&phones[count++], epoll, argv[2], a, argv[4], ta);
    open_phone(&phones[count++], epoll, argv[3], b, argv[5], tb);
  }
  double start = now();
  window_from = start + atof(argv[7]);
  window_to = window_from + atof(argv[6]);
  /* Phones start spread over the packet time, as calls do. */
  for (int i = 0; i < count; i++) phones[i].next = start + (random() % PERIOD_US) * 1e-6;
  int told = 0;
  struct epoll_event events[512];
  for (;;) {
    double at = now();
    if (!told && at >= window_from) {
      told = 1;
      puts("window");
      fflush(stdout);
    }
    if (told == 1 && at >= window_to) {
      told = 2;
      puts("over");
      fflush(stdout);
    }
    if (at >= window_to + 0.7) break;
    for (int i = 0; i < count; i++) {
      while (phones[i].next <= at && at < window_to) {
        speak(&phones[i], now());
        phones[i].next += PERIOD_US * 1e-6;
      }
    }
    int ready = epoll_wait(epoll, events, 512, 1);
    double heard_at = now();
    for (int i = 0; i < ready; i++) hear(events[i].data.ptr, heard_at);
  }
  printf("{\"sent\":%llu,\"received\":%llu,\"damaged\":%llu,\"p50Ms\":%.2f,\"p99Ms\":%.2f}\n", (unsigned long long)sent,
         (unsigned long long)received, (unsigned long long)damaged, percentile(0.5), percentile(0.99));
  return 0;
}
