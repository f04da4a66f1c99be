// The call that draws what is on show, as text to copy. The key is never in it.

/** `bands` is null for all of them. */
export function callText(language, request, { bands, origin, gateway }) {
  if (request.keepBands !== null) return variationText(language, request, { bands, origin, gateway });
  return WRITERS[language](request, { bands, origin, gateway });
}

const WRITERS = {
  curl: (request, { bands, origin, gateway }) => {
    const body = JSON.stringify(fields(request, bands));
    return `curl ${origin}/v1/jobs \\\n  -H 'content-type: application/json' \\\n${keyLine(gateway)}  -H 'prefer: wait=30' \\\n  -d ${quoted(body)}`;
  },
  python: (request, { bands, origin, gateway }) => {
    const { class_label: label, ...others } = fields(request, bands);
    const words = [JSON.stringify(String(label))];
    for (const [name, value] of Object.entries(others)) words.push(`${name}=${JSON.stringify(value)}`);
    const key = gateway.asks_for_keys ? ', api_key="..."' : "";
    return `from nfig_client import Client\n\nwith Client("${origin}"${key}) as client:\n    drawn = client.generate(${words.join(", ")})\n    for image in drawn.images:\n        image.save(f"image-{image.image_index}.png")`;
  },
  grpc: (request, { bands, origin, gateway }) => {
    if (!gateway.grpc) return "This gateway has no gRPC door (NFIG_GRPC_PORT).";
    const { class_label: label, ...others } = fields(request, bands);
    const spec = { class_name: String(label), ...others };
    const plain = gateway.grpc.tls ? "" : " -plaintext";
    const key = gateway.asks_for_keys ? ' -H "authorization: Bearer $NFIG_API_KEY"' : "";
    const place = `${new URL(origin).hostname}:${gateway.grpc.port}`;
    return `grpcurl${plain}${key} -d ${quoted(JSON.stringify({ spec }))} \\\n  ${place} nfig.v1.ImageGenerationService/Generate`;
  },
};

function variationText(language, request, { bands, origin, gateway }) {
  if (language !== "curl") return "Variations of a picture are made over HTTP: see the curl call.";
  const { num_images: n, ...others } = fields(request, bands);
  const all = Object.entries({ ...others, n, keep_bands: request.keepBands });
  const form = all.map(([name, value]) => `  -F ${quoted(`${name}=${value}`)}`).join(" \\\n");
  return `curl ${origin}/v1/images/variations \\\n${keyLine(gateway)}  -F image=@picture.png \\\n${form}`;
}

function fields(request, bands) {
  const all = {
    class_label: request.className,
    model: request.model,
    seed: request.seed,
    guidance_scale: request.guidance,
    num_images: request.count,
  };
  return bands === null ? all : { ...all, bands };
}

function keyLine(gateway) {
  return gateway.asks_for_keys ? '  -H "authorization: Bearer $NFIG_API_KEY" \\\n' : "";
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
