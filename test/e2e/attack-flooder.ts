/** Sends datagrams at a rate, in a thread of its own so that the honest ends in the test keep their time. */
import { createSocket, type Socket } from 'node:dgram';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface FloodOptions {
  /** Source addresses, used in turn. */
  readonly from: readonly string[];
  /** Port to send from; 0 or absent: any. */
  readonly port?: number;
  readonly to: { readonly ip: string; readonly port: number };
  /** Latin-1 or bytes; `@@` becomes a new word each time, `@IP` and `@PORT` the sender's. */
  readonly messages: readonly (string | Uint8Array)[];
  readonly perSecond: number;
  readonly ms: number;
}

/** How many were sent, and how many datagrams came back. */
export interface FloodResult {
  readonly sent: number;
  readonly received: number;
}

export function flood(options: FloodOptions): Promise<FloodResult> {
  const worker = new Worker(new URL(import.meta.url), { workerData: options });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

async function main(o: FloodOptions): Promise<void> {
  const sockets = await Promise.all(o.from.map((ip) => bind(ip, o.port ?? 0)));
  let received = 0;
  for (const { socket } of sockets) socket.on('message', () => received++);
  const started = performance.now();
  let sent = 0;
  while (performance.now() - started < o.ms) {
    const due = Math.min(((performance.now() - started) * o.perSecond) / 1000, sent + 2000);
    while (sent < due) {
      const at = sockets[sent % sockets.length]!;
      const message = o.messages[sent % o.messages.length]!;
      const bytes =
        typeof message === 'string'
          ? Buffer.from(
              message
                .replaceAll('@@', `f${sent}x${Math.random().toString(36).slice(2)}`)
                .replaceAll('@IP', at.ip)
                .replaceAll('@PORT', String(at.port)),
              'latin1',
            )
          : message;
      at.socket.send(bytes, o.to.port, o.to.ip, () => undefined);
      sent++;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const { socket } of sockets) socket.close();
  parentPort?.postMessage({ sent, received } satisfies FloodResult);
}

function bind(ip: string, port: number): Promise<{ socket: Socket; ip: string; port: number }> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, ip, () => {
      socket.removeListener('error', reject);
      socket.on('error', () => undefined);
      resolve({ socket, ip, port: socket.address().port });
    });
  });
}

if (!isMainThread && workerData !== null && typeof workerData === 'object' && 'perSecond' in workerData) {
  await main(workerData as FloodOptions);
}
