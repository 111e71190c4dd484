// Runs every network of a list: node run.js DIRECTORY. cases.json there holds
// [{name, dims, tokens}]; NAME.onnx is run on NAME.in, little-endian float32 or
// int64, and its output is written to NAME.out. What fails goes to stderr.
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

async function run(dir, c) {
  const bytes = fs.readFileSync(path.join(dir, c.name + '.in'));
  const memory = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const x = c.tokens
    ? new ort.Tensor('int64', new BigInt64Array(memory), c.dims)
    : new ort.Tensor('float32', new Float32Array(memory), c.dims);
  const session = await ort.InferenceSession.create(path.join(dir, c.name + '.onnx'), { logSeverityLevel: 3 });
  const y = (await session.run({ [session.inputNames[0]]: x }))[session.outputNames[0]];
  fs.writeFileSync(path.join(dir, c.name + '.out'), Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength));
}

(async () => {
  const dir = process.argv[2];
  for (const c of JSON.parse(fs.readFileSync(path.join(dir, 'cases.json')))) {
    try {
      await run(dir, c);
    } catch (e) {
      console.error(c.name + ': ' + e.message);
      process.exitCode = 1;
    }
  }
})();
