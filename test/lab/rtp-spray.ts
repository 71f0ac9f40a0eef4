/**
 * A stranger's RTP at every media port of a gateway: `rtp-spray.js FROM TO FIRST LAST SECONDS`, run inside a namespace.
 * Packets of G.711 noise, version 2, payload type 0, running sequence. Prints how many packets came back: 0 or it is a bleed.
 */
import { randomFillSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const EVERY_MS = 60;

function main([from, to, first, last, seconds]: string[]): void {
  const socket = createSocket(isIPv6(to!) ? 'udp6' : 'udp4');
  let back = 0;
  let sequence = 1000;
  socket.on('message', () => {
    back += 1;
  });
  const packet = Buffer.alloc(172);
  randomFillSync(packet, 12);
  packet[0] = 0x80;
  packet.writeUInt32BE(0x0badf00d, 8);
  const spray = (): void => {
    sequence += 1;
    packet.writeUInt16BE(sequence & 0xffff, 2);
    packet.writeUInt32BE((sequence * 160) >>> 0, 4);
    for (let port = Number(first); port <= Number(last); port += 2) socket.send(packet, port, to!);
  };
  socket.bind(0, from, () => {
    const timer = setInterval(spray, EVERY_MS);
    setTimeout(() => {
      clearInterval(timer);
      console.log(JSON.stringify({ back }));
      socket.close();
    }, Number(seconds) * 1000);
  });
}

main(process.argv.slice(2));
