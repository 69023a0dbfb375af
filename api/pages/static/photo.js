// Photos made small in the browser, before they wait or are sent: readable, and about 200 kB.

const EDGE = 1600; // longest edge in pixels
const MOST = 200_000; // bytes aimed at; each turn trades some quality and size for it

const asBlob = (canvas, type, quality) => new Promise((done) => canvas.toBlob(done, type, quality));

// Answers a JPEG of the picture; throws when the file is no picture that this browser can read.
export async function small(file) {
  const picture = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  let made;
  for (const [edge, quality] of [[EDGE, 0.8], [EDGE, 0.6], [1200, 0.6], [900, 0.5]]) {
    const scale = Math.min(1, edge / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    made = await asBlob(canvas, "image/jpeg", quality);
    if (made.size <= MOST) break;
  }
  picture.close();
  return made;
}

export const png = (canvas) => asBlob(canvas, "image/png");

export const asText = (blob) => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(",")[1]);
  reader.readAsDataURL(blob);
});
