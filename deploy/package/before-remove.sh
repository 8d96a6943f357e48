#!/bin/sh
# `remove`, or `upgrade` with the version that comes, which restarts the server itself.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now nextrush.socket nextrush.service
fi
