/*
 * The yardstick: a plain epoll relay, one socket per leg, one system call per packet received and one per packet sent.
 * Reads "aPort bPort aPeerPort bPeerPort" per call from the file; argv: FILE LOCAL_IP A_IP B_IP.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct leg {
  int fd;
  struct sockaddr_in peer;
  struct leg *other;
};

static struct sockaddr_in address(const char *ip, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &a.sin_addr);
  return a;
}

static void open_leg(struct leg *leg, int epoll, const char *ip, int port, const char *peer, int peer_port) {
  leg->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in local = address(ip, port);
  if (leg->fd < 0 || bind(leg->fd, (struct sockaddr *)&local, sizeof local) < 0) {
    perror("relay: bind");
    exit(1);
  }
  leg->peer = address(peer, peer_port);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = leg};
  epoll_ctl(epoll, EPOLL_CTL_ADD, leg->fd, &event);
}

int main(int argc, char **argv) {
  struct rlimit files = {65536, 65536};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  FILE *file = argc == 5 ? fopen(argv[1], "r") : NULL;
  if (!file) return 2;
  int epoll = epoll_create1(0);
  int a, b, pa, pb;
  while (fscanf(file, "%d %d %d %d", &a, &b, &pa, &pb) == 4) {
    struct leg *legs = calloc(2, sizeof *legs);
    open_leg(&legs[0], epoll, argv[2], a, argv[3], pa);
    open_leg(&legs[1], epoll, argv[2], b, argv[4], pb);
    legs[0].other = &legs[1];
    legs[1].other = &legs[0];
  }
  puts("ready");
  fflush(stdout);
  static char buffer[2048];
  struct epoll_event events[256];
  for (;;) {
    int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      struct leg *leg = events[i].data.ptr;
      ssize_t length = recv(leg->fd, buffer, sizeof buffer, 0);
      if (length < 0) continue;
      sendto(leg->other->fd, buffer, length, 0, (struct sockaddr *)&leg->other->peer, sizeof leg->other->peer);
    }
  }
}
