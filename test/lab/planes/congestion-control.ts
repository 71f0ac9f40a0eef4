/** The kernel's congestion controls. */
import { run } from '../run.ts';

function setting(name: string): string[] {
  return run('sysctl', ['-n', name]).trim().split(/\s+/);
}

export function offersCongestionControl(name: string): boolean {
  return setting('net.ipv4.tcp_available_congestion_control').includes(name);
}
