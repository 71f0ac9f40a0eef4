/** The H.323 part of the configuration's definition (config-schema.ts). */
import { z } from 'zod';
import { address, hostName, label } from './config-schema-values.ts';

const alias = () =>
  z.string().regex(/^[ -~]{1,128}$/, {
    error: 'must be 1 to 128 printable characters: digits are a number, all else is an H.323 name',
  });

const h323Listener = z
  .strictObject({
    name: label().describe('Name to refer to in `peers`; not that of a SIP listener.'),
    transport: z
      .enum(['tcp', 'udp'])
      .describe('tcp: call signalling, usually port 1720. udp: RAS (gatekeepers), usually port 1719.'),
    address: address().describe('Where to listen.'),
    advertise: address()
      .exactOptional()
      .describe(
        'Address as the far side sees it (static NAT); used in H.225, H.245 and RAS. Required where `address` is a wildcard.',
      ),
  })
  .describe('An H.323 socket of this gateway on its own side.');

const gatekeeper = z
  .strictObject({
    identifier: z
      .string()
      .regex(/^[ -~]{1,128}$/, { error: 'must be 1 to 128 printable characters' })
      .describe('Gatekeeper identifier.'),
    listener: label().describe('RAS listener (udp) it answers on.'),
    signalling: label().describe('Signalling listener (tcp) its terminals are told to call.'),
    peer: label().describe(
      'Peer whose name calls of its terminals bear; its `sources` are where they may be.',
    ),
    timeToLiveSeconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(300)
      .describe('Longest time a registration is granted for.'),
    open: z
      .boolean()
      .default(false)
      .describe('Terminals with a number of `accounts` may register without a password (H.235.1).'),
  })
  .describe("Our own gatekeeper, for terminals that have none; this file's `accounts` are who may register.");

export const h323 = z
  .strictObject({
    listeners: z.array(h323Listener).max(64).default([]).describe('H.323 sockets.'),
    h245Ports: z
      .tuple([z.int().min(1024).max(65535), z.int().min(1024).max(65535)])
      .default([30_000, 30_999])
      .describe('First and last TCP port, inclusive, for H.245 connections of the far side to this gateway.'),
    gatekeeper: gatekeeper.exactOptional(),
  })
  .describe('H.323 on the own side of this gateway.');

const gatekeeperAccess = z
  .strictObject({
    host: hostName().describe('Host name or address of the gatekeeper.'),
    port: z.int().min(1).max(65535).exactOptional().describe('RAS port, default 1719.'),
    listener: label()
      .exactOptional()
      .describe('RAS listener (udp) to send from; default: the first that fits.'),
    identifier: z
      .string()
      .regex(/^[ -~]{1,128}$/, { error: 'must be 1 to 128 printable characters' })
      .exactOptional()
      .describe('Its identifier, where it wants to be called by it.'),
    aliases: z.array(alias()).min(1).max(64).describe('Numbers and H.323 names this gateway registers.'),
    timeToLiveSeconds: z.int().min(30).max(86_400).default(300).describe('Time of life to ask for.'),
    username: z.string().min(1).max(128).exactOptional().describe('H.235.1: our identity.'),
    password: z.string().min(1).max(256).exactOptional().describe('H.235.1: the password of `username`.'),
  })
  .describe('A gatekeeper to register at, which is asked for admission of every call with this peer.');

export const h323Peer = z
  .strictObject({
    fastStart: z.boolean().default(true).describe('Offer and answer FastStart.'),
    tunnelling: z
      .boolean()
      .default(true)
      .describe(
        'H.245 inside call signalling; a far side that insists gets a connection of its own all the same.',
      ),
    earlyH245: z.boolean().default(false).describe('Begin H.245 before the call is answered.'),
    keepConnection: z
      .boolean()
      .default(false)
      .describe('Keep the signalling connection for further calls (maintainConnection).'),
    aliases: z
      .array(alias())
      .max(16)
      .default([])
      .describe("Our own numbers and H.323 names towards this peer, besides the caller's number."),
    gatekeeper: gatekeeperAccess.exactOptional(),
  })
  .describe('Only where `protocol` is h323.');
