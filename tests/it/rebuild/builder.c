/* Stands in for BuildKit's two programs in a builder's container: the daemon waits, and the client's `dial-stdio` passes
 * bytes between its standard streams and the BuildKit that listens at 127.0.0.1:$BRIDGE_PORT. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pass(int from, int to) {
  char bytes[65536];
  ssize_t got = read(from, bytes, sizeof bytes);
  for (ssize_t at = 0, put; at < got; at += put)
    if ((put = write(to, bytes + at, got - at)) <= 0) return 0;
  return got > 0;
}

int main(int count, char **words) {
  if (count > 1 && !strcmp(words[1], "--version")) {
    puts("buildkitd github.com/moby/buildkit v0.0.0-bridge 0000000");
    return 0;
  }
  if (strstr(words[0], "buildkitd"))
    for (;;) pause();
  if (count < 2 || strcmp(words[1], "dial-stdio")) return 0;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("BRIDGE_PORT")))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(server, (struct sockaddr *)&at, sizeof at)) return 1;
  struct pollfd ends[] = {{0, POLLIN, 0}, {server, POLLIN, 0}};
  while (poll(ends, 2, -1) > 0) {
    if (ends[0].revents && !pass(0, server)) return 0;
    if (ends[1].revents && !pass(server, 1)) return 0;
  }
  return 0;
}
