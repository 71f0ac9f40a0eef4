/** The kernel's congestion controls: which there are, and the permission to name them in a namespace. */
import { run } from '../run.ts';

const ALLOWED = 'net.ipv4.tcp_allowed_congestion_control';

function setting(name: string): string[] {
  return run('sysctl', ['-n', name]).trim().split(/\s+/);
}

export function offersCongestionControl(name: string): boolean {
  return setting('net.ipv4.tcp_available_congestion_control').includes(name);
}

/** A namespace may make only an allowed one its default. Returns what puts the list back. */
export function allowCongestionControl(name: string): () => void {
  const before = setting(ALLOWED);
  if (before.includes(name)) return () => undefined;
  run('sysctl', ['-qw', `${ALLOWED}=${[...before, name].join(' ')}`]);
  return () => {
    run('sysctl', ['-qw', `${ALLOWED}=${before.join(' ')}`]);
  };
}
