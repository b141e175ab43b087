// A zyre.js node that a test drives.
//
// Commands come in on stdin, replies and events go out on stdout, a JSON
// object a line; frames are base64. The fields are those of the types command
// and line in the Go package internal/lab.
//
// zyre.js was written for the module zeromq 5, which does not build any more;
// zeromq 6 has a module with the same interface, which is put in its place.

'use strict';

const fs = require('fs');
const Module = require('module');
const readline = require('readline');

const resolve = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) => (
  resolve(request === 'zeromq' ? 'zeromq/v5-compat' : request, ...rest));

const STALL = 20000; // ms without an acknowledgement before a flood is given up
const REPORT = 1000; // numbered messages between two lines about them

const installed = Module.createRequire(`${process.env.ZYRE_JS_DIR}/`);
const Zyre = installed('zyre.js');

let node;
let acknowledged = 0;
let wake = () => {};
const tallies = new Map();

function say(fields) {
  fs.writeSync(1, `${JSON.stringify(fields)}\n`);
}

function count(peer, number) {
  const tally = tallies.get(peer) || { count: 0, fault: '' };
  tallies.set(peer, tally);
  if (number !== tally.count && !tally.fault) {
    tally.fault = `number ${number} instead of ${tally.count}`;
  }
  tally.count += 1;
  if (tally.fault || tally.count % REPORT === 0) {
    say({ event: 'BULK', peer, count: tally.count, fault: tally.fault });
  }
}

function receive(event, peer, name, frame, group) {
  const text = frame.length < 16 ? frame.toString('latin1') : '';
  if (text.startsWith('#')) {
    count(peer, Number(text.slice(1)));
  } else if (text.startsWith('+')) {
    acknowledged = Number(text.slice(1));
    wake();
  } else {
    say({ event, peer, name, group, msg: [frame.toString('base64')] });
  }
}

function listen() {
  node.setEncoding('raw');
  node.on('connect', (peer, name, headers) => {
    const { endpoint } = node.getPeer(peer);
    say({ event: 'ENTER', peer, name, headers, addr: endpoint });
  });
  node.on('disconnect', (peer, name) => say({ event: 'EXIT', peer, name }));
  node.on('join', (peer, name, group) => say({ event: 'JOIN', peer, name, group }));
  node.on('leave', (peer, name, group) => say({ event: 'LEAVE', peer, name, group }));
  node.on('whisper', (peer, name, frame) => receive('WHISPER', peer, name, frame));
  node.on('shout', (peer, name, frame, group) => receive('SHOUT', peer, name, frame, group));
}

function acknowledgement() {
  return new Promise((resolved, rejected) => {
    const timer = setTimeout(() => rejected(new Error(`acknowledged: ${acknowledged}`)), STALL);
    wake = () => {
      clearTimeout(timer);
      resolved();
    };
  });
}

const commands = {
  async start({ name, headers, groups = [] }) {
    node = Zyre.new({ name, headers, iface: process.env.ZYRE_JS_INTERFACE });
    listen();
    await node.start();
    groups.forEach((group) => node.join(group)); // it cannot before
    return { uuid: node.getIdentity(), endpoint: node._zyreNode._endpoint };
  },
  join({ group }) { node.join(group); },
  leave({ group }) { node.leave(group); },
  whisper({ peer, frames }) { node.whisper(peer, Buffer.from(frames[0], 'base64')); },
  shout({ group, frames }) { node.shout(group, Buffer.from(frames[0], 'base64')); },
  async flood({ peer, group, count: total, window }) {
    for (let number = 0; number < total; number += 1) {
      while (number - acknowledged >= window) await acknowledgement();
      const message = Buffer.from(`#${number}`);
      if (group) node.shout(group, message);
      else node.whisper(peer, message);
    }
    while (acknowledged < total) await acknowledgement();
  },
  peers() { return { peers: Object.keys(node.getPeers()) }; },
  stop() {
    // The module that stands for zeromq 5 unbinds on a thread of its own while
    // the socket is in use, and then spins or crashes. To close is enough.
    node._zyreNode._socket.unbind = (endpoint, done) => done();
    return node.stop();
  },
};

// One command at a time, in order.
let last = Promise.resolve();
readline.createInterface({ input: process.stdin }).on('line', (text) => {
  last = last.then(async () => {
    const command = JSON.parse(text);
    try {
      say({ reply: command.do, ...await commands[command.do](command) });
    } catch (error) {
      say({ reply: command.do, error: String(error) });
    }
  });
}).on('close', () => process.exit(0));
