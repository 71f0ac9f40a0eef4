import type { GatewayConfig } from '../gateway/config.ts';
import type { SocketBuffers } from '../media/plane-contract.ts';

/** Whether any stream may come to a port that others use: only such ports ask for more than the system gives every socket. */
export function sharesPorts(config: Pick<GatewayConfig, 'media' | 'peers'>): boolean {
  return config.media.sharedPorts === true || config.peers.some((peer) => peer.sharedPorts === true);
}

/** What the administrator can do where the kernel granted less than was asked; undefined: nothing need be done. */
export function bufferHint({ asked, receive, send }: SocketBuffers): string | undefined {
  const settings = [
    ...(receive < asked ? [`net.core.rmem_max=${asked}`] : []),
    ...(send < asked ? [`net.core.wmem_max=${asked}`] : []),
  ];
  if (settings.length === 0) return undefined;
  return `sysctl -w ${settings.join(' ')}, and start the gateway again: a burst on a port that streams share may be lost`;
}
