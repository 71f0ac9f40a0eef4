/** What the system said, as the administrator needs it: what, where, and what to do next. */
import { formatAddress } from '../machine/address.ts';

/** The text for an error of a system call that opens a port or a file; of any other error, its own message. */
export function systemFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (address !== undefined && port !== undefined && port >= 0) return portFault(error, address, port);
  const file = path ?? address;
  if (file === undefined) return error.message;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `this user may not write ${file}; correct its owner and mode, or name another place in the configuration`;
    case 'EROFS':
      return `${file} is on a read-only file system; name another place in the configuration (systemd: RuntimeDirectory, StateDirectory)`;
    case 'ENOSPC':
      return `no space left for ${file}; make room`;
    case 'ENOENT':
    case 'ENOTDIR':
      return `the folder of ${file} does not exist; make it, or correct the path`;
    default:
      return error.message;
  }
}

function portFault(error: NodeJS.ErrnoException, ip: string, port: number): string {
  const where = formatAddress({ ip, port });
  switch (error.code) {
    case 'EADDRINUSE':
      return `${where} is in use: another program, or a second gateway, listens there; end it ("ss -lntup" names it) or take another port`;
    case 'EADDRNOTAVAIL':
      return `${ip} is no address of this machine ("ip address" shows them); correct the configuration where it says ${where}`;
    case 'EACCES':
      return `this user may not listen on ${where}; take a port above 1023, or give the service CAP_NET_BIND_SERVICE`;
    default:
      return error.message;
  }
}
