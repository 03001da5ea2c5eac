// /bin/sh of the busybox image. Debian's busybox drops variables from the environment whose names a shell could not write,
// such as `data-1`; upstream's hands them on. So where there is one, bash does the work, which hands them on too.
#include <ctype.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static int shell_could_write(const char *variable) {
  if (!isalpha((unsigned char)*variable) && *variable != '_') return 0;
  for (const char *at = variable; *at && *at != '='; at++) {
    if (!isalnum((unsigned char)*at) && *at != '_') return 0;
  }
  return 1;
}

int main(int count, char **arguments) {
  (void)count;
  for (char **variable = environ; *variable; variable++) {
    if (!shell_could_write(*variable)) execv("/bin/bash-static", arguments);
  }
  execv("/bin/busybox", arguments);
  return 127;
}
