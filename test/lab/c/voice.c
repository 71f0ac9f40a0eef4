/*
 * voice: telephones on both sides of a network, in one process with one clock. Each call is two phones that send 172-octet
 * RTP packets (G.711, 20 ms) to each other through whatever is between them.
 *
 *   voice OUT_FILE SECONDS WARMUP NAMESPACE_A NAMESPACE_B ROUTES A_IP B_IP A_TARGET_IP B_TARGET_IP
 *     ROUTES: a file of lines "aPort bPort aTargetPort bTargetPort", one per call.
 *   voice OUT_FILE SECONDS WARMUP NAMESPACE_A NAMESPACE_B stream CALLS CONNECT_PORT LISTEN_PORT
 *     All calls over one byte stream: side A connects to 127.0.0.1 CONNECT_PORT, side B listens on LISTEN_PORT.
 *
 * Prints "window MONOTONIC_SECONDS" and "over ..." around the measured time. OUT_FILE: three doubles per packet sent in the window: when
 * (seconds since the window's begin), delay in ms (-1: never arrived), 2 * call + side that sent it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_US = 20000, PAYLOAD = 160, HEADER = 12, PACKET = HEADER + PAYLOAD, MAX_PHONES = 4096, TAIL_S = 1 };

struct phone {
  int fd;
  struct sockaddr_in target;
  uint32_t ssrc, timestamp, index;
  uint16_t sequence;
  double next;
};

struct stream {
  int fd, out, in;
  unsigned char write[64 * PACKET], read[64 * PACKET];
};

static struct phone phones[MAX_PHONES];
static struct stream streams[2];
static int count, streaming;
static double window_from, window_to;
static float *delays; /* per phone and packet of the window; -1 not arrived, -2 not sent */
static double *sent_at;
static int per_phone;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
  fprintf(stderr, "voice: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void enter(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(path);
  close(fd);
}

static struct sockaddr_in address(const char *ip, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &a.sin_addr);
  return a;
}

static void watch(int epoll, int fd, uint32_t number) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void open_phone(int number, int epoll, const char *ip, int port, const char *target, int target_port) {
  struct phone *p = &phones[number];
  int size = 1 << 20;
  struct sockaddr_in local = address(ip, port);
  p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&local, sizeof local) < 0) fail("bind");
  setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  p->target = address(target, target_port);
  watch(epoll, p->fd, number);
}

static int connected(int port) {
  struct sockaddr_in to = address("127.0.0.1", port);
  for (int i = 0; i < 100; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    usleep(50000);
  }
  fail("connect");
  return -1;
}

static void open_streams(int epoll, const char *ns_a, const char *ns_b, int connect_port, int listen_port) {
  struct sockaddr_in at = address("127.0.0.1", listen_port);
  int one = 1;
  enter(ns_b);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1) < 0) fail("listen");
  enter(ns_a);
  streams[0].fd = connected(connect_port);
  if (write(streams[0].fd, "", 1) != 1) fail("write"); /* some relays dial on only when something comes */
  streams[1].fd = accept(listener, NULL, NULL);
  char first;
  if (streams[1].fd < 0 || read(streams[1].fd, &first, 1) != 1) fail("accept");
  for (int i = 0; i < 2; i++) {
    setsockopt(streams[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
    watch(epoll, streams[i].fd, i);
  }
}

static void push(struct stream *s) {
  while (s->out > 0) {
    ssize_t n = send(s->fd, s->write, s->out, MSG_NOSIGNAL);
    if (n <= 0) return;
    memmove(s->write, s->write + n, s->out - n);
    s->out -= n;
  }
}

static void speak(int number, double at) {
  struct phone *p = &phones[number];
  unsigned char packet[PACKET] = {0x80, 0};
  uint16_t sequence = htons(p->sequence++);
  uint32_t timestamp = htonl(p->timestamp), ssrc = htonl(p->ssrc), index = UINT32_MAX, who = number;
  p->timestamp += 160;
  if (at >= window_from && at < window_to && (int)p->index < per_phone) {
    index = p->index++;
    delays[number * per_phone + index] = -1;
    sent_at[number * per_phone + index] = at;
  }
  memcpy(packet + 2, &sequence, 2);
  memcpy(packet + 4, &timestamp, 4);
  memcpy(packet + 8, &ssrc, 4);
  memcpy(packet + HEADER, "voip", 4);
  memcpy(packet + HEADER + 4, &who, 4);
  memcpy(packet + HEADER + 8, &index, 4);
  memset(packet + HEADER + 12, 0x5a, PAYLOAD - 12);
  if (!streaming) {
    sendto(p->fd, packet, PACKET, 0, (struct sockaddr *)&p->target, sizeof p->target);
    return;
  }
  struct stream *s = &streams[number & 1];
  if (s->out + PACKET > (int)sizeof s->write) push(s);
  if (s->out + PACKET > (int)sizeof s->write) return; /* the stream is full: lost */
  memcpy(s->write + s->out, packet, PACKET);
  s->out += PACKET;
}

static void heard(const unsigned char *packet, ssize_t length, double at) {
  uint32_t who, index;
  if (length != PACKET || memcmp(packet + HEADER, "voip", 4) || packet[length - 1] != 0x5a) return;
  memcpy(&who, packet + HEADER + 4, 4);
  memcpy(&index, packet + HEADER + 8, 4);
  if (who >= (uint32_t)count || index >= (uint32_t)per_phone) return;
  float *delay = &delays[who * per_phone + index];
  if (*delay == -1) *delay = (at - sent_at[who * per_phone + index]) * 1e3; /* the first copy counts */
}

static void hear(uint32_t number) {
  unsigned char packet[2048];
  ssize_t length;
  if (!streaming) {
    while ((length = recv(phones[number].fd, packet, sizeof packet, 0)) > 0) heard(packet, length, now());
    return;
  }
  struct stream *s = &streams[number];
  while ((length = recv(s->fd, s->read + s->in, sizeof s->read - s->in, 0)) > 0) {
    double at = now();
    s->in += length;
    int used = 0;
    for (; s->in - used >= PACKET; used += PACKET) heard(s->read + used, PACKET, at);
    memmove(s->read, s->read + used, s->in - used);
    s->in -= used;
  }
}

static void save(const char *file) {
  FILE *out = fopen(file, "w");
  if (!out) fail(file);
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < per_phone; k++) {
      if (delays[i * per_phone + k] == -2) continue;
      double record[3] = {sent_at[i * per_phone + k] - window_from, delays[i * per_phone + k], i};
      fwrite(record, sizeof record, 1, out);
    }
  }
  fclose(out);
}

int main(int argc, char **argv) {
  if (argc != 10 && argc != 11) return 2;
  double seconds = atof(argv[2]), warmup = atof(argv[3]);
  const char *ns_a = argv[4], *ns_b = argv[5];
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  prctl(PR_SET_TIMERSLACK, 1UL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_RR, &first) < 0) setpriority(PRIO_PROCESS, 0, -15); /* it measures others, not itself */
  signal(SIGPIPE, SIG_IGN);
  int epoll = epoll_create1(EPOLL_CLOEXEC), a, b, ta, tb;
  streaming = argc == 10;
  if (streaming) {
    count = 2 * atoi(argv[7]);
    open_streams(epoll, ns_a, ns_b, atoi(argv[8]), atoi(argv[9]));
  } else {
    FILE *file = fopen(argv[6], "r");
    if (!file) fail(argv[6]);
    static int ports[MAX_PHONES][2];
    for (; count + 1 < MAX_PHONES && fscanf(file, "%d %d %d %d", &a, &b, &ta, &tb) == 4; count += 2) {
      ports[count][0] = a, ports[count][1] = ta, ports[count + 1][0] = b, ports[count + 1][1] = tb;
    }
    for (int side = 0; side < 2; side++) {
      enter(side ? ns_b : ns_a);
      for (int i = side; i < count; i += 2) {
        open_phone(i, epoll, argv[7 + side], ports[i][0], argv[9 + side], ports[i][1]);
      }
    }
  }
  per_phone = (int)(seconds * 1e6 / PERIOD_US) + 2;
  delays = malloc(sizeof *delays * count * per_phone);
  sent_at = malloc(sizeof *sent_at * count * per_phone);
  if (!count || !delays || !sent_at) fail("no calls");
  for (int i = 0; i < count * per_phone; i++) delays[i] = -2;
  srandom(1);
  double start = now();
  window_from = start + warmup;
  window_to = window_from + seconds;
  for (int i = 0; i < count; i++) {
    phones[i].ssrc = random();
    phones[i].sequence = random();
    phones[i].timestamp = random();
    phones[i].next = start + (random() % PERIOD_US) * 1e-6; /* spread over the packet time, as calls are */
  }
  int told = 0;
  struct epoll_event events[512];
  for (;;) {
    double at = now(), next = at + 0.001;
    if (!told && at >= window_from) told = 1, printf("window %.9f\n", window_from), fflush(stdout);
    if (told == 1 && at >= window_to) told = 2, printf("over %.9f\n", window_to), fflush(stdout);
    if (at >= window_to + TAIL_S) break;
    for (int i = 0; i < count; i++) {
      while (phones[i].next <= at && at < window_to) {
        speak(i, now());
        phones[i].next += PERIOD_US * 1e-6;
      }
      if (phones[i].next < next) next = phones[i].next;
    }
    if (streaming) push(&streams[0]), push(&streams[1]);
    /* A thousand phones need no more than four looks a millisecond. */
    double wait = next - now();
    if (wait < 0.00025) wait = 0.00025;
    struct timespec timeout = {0, (long)(wait * 1e9)};
    int ready = epoll_pwait2(epoll, events, 512, &timeout, NULL);
    for (int i = 0; i < ready; i++) hear(events[i].data.u32);
  }
  save(argv[1]);
  return 0;
}
