#!/bin/sh
# /init of Typevisor's guest: a busybox shell on the console, or one command whose output and status go to the host.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
ln -sf /proc/self/fd /dev/fd
dmesg -n 1
hostname guest
cd /root

# The value of word $1= of the kernel command line.
argument() {
  for word in $(cat /proc/cmdline); do
    case $word in "$1="*) echo "${word#*=}" ;; esac
  done
}

# The host frames the output with a nonce of its own, so that nothing else on the console is taken for it. The terminal
# is raw: bytes arrive as the command wrote them.
run_command() {
  frame="typevisor:$(argument typevisor.nonce)"
  stty raw -echo
  echo "$1" | tr '_-' '/+' | base64 -d > /tmp/command
  printf '%s:begin\n' "$frame"
  setsid sh /tmp/command < /dev/null
  printf '%s:end:%d\n' "$frame" $?
}

# The size of the terminal that the host shows the console on, as ROWSxCOLUMNS.
set_terminal_size() {
  size=$(argument typevisor.terminal)
  [ -z "$size" ] || stty rows "${size%x*}" cols "${size#*x}"
}

exec < /dev/console > /dev/console 2>&1
command=$(argument typevisor.exec)
if [ -n "$command" ]; then
  run_command "$command"
else
  set_terminal_size
  echo
  echo "Linux $(uname -r), a busybox shell. \`poweroff\` or \`exit\` ends the VM, \`reboot\` restarts it."
  setsid cttyhack sh -l
fi
exec /sbin/poweroff
