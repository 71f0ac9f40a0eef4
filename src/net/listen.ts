import type { Server } from 'node:net';
import type { Address } from '../machine/address.ts';

/** Opens the port. IPv6 sockets take IPv6 only, so that an IPv4 listener on the same port can stand beside. */
export function listenTcp(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      { host: address.ip, port: address.port, ipv6Only: address.ip.includes(':'), backlog: 512 },
      () => {
        server.off('error', reject);
        // Out of file descriptors at accept: the connection is lost, the listener is not.
        server.on('error', () => undefined);
        resolve();
      },
    );
  });
}
