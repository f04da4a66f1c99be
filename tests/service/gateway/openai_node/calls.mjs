// Makes one call with OpenAI's own client and prints what came of it as JSON.
// node calls.mjs NAME BASE_URL

import OpenAI from 'openai';

const [name, baseURL] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });

async function told(call) {
  try {
    return await call();
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status,
      code: error.code,
      param: error.param,
      type: error.type,
      message: error.message,
      requestId: error.requestID,
    };
  }
}

async function* stream(options) {
  for await (const event of await openai.images.generate({ prompt: 'cat', stream: true, ...options })) {
    yield event;
  }
}

async function all(options) {
  const events = [];
  const error = await told(async () => {
    for await (const event of stream(options)) events.push(event);
    return null;
  });
  return { events, error };
}

const calls = {
  generate: () => openai.images.generate({ prompt: 'cat', n: 2, seed: 7 }),
  url: async () => {
    const answer = await openai.images.generate({ prompt: 'cat', response_format: 'url' });
    const picture = await fetch(answer.data[0].url);
    return { url: answer.data[0].url, b64: Buffer.from(await picture.arrayBuffer()).toString('base64') };
  },
  webp: () => openai.images.generate({ prompt: 'cat', output_format: 'webp', output_compression: 60 }),
  stream: () => all({ partial_images: 3, seed: 7 }),
  models: async () => (await openai.models.list()).data.map((model) => model.id),
  refused: () => openai.images.generate({ prompt: 'unicorn' }),
  unknownModel: () => openai.images.generate({ prompt: 'cat', model: 'gpt-image-1' }),
  unavailable: () => openai.images.generate({ prompt: 'cat' }),
  retried: async () => {
    const began = Date.now();
    const answer = await openai.images.generate({ prompt: 'cat' }, { maxRetries: 2 });
    return { images: answer.data.length, milliseconds: Date.now() - began };
  },
  abandoned: async () => {
    for await (const event of stream({ partial_images: 4 })) return event.type;
  },
};

console.log(JSON.stringify(await told(calls[name])));
