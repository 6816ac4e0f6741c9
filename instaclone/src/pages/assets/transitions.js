// A photo grows from its place in a grid or feed to its page, and shrinks back: both sides of the
// navigation give it the same name. Browsers without cross-document view transitions do without.

const NAME = 'photo';

const postOf = (address) => address && new URL(address).pathname.match(/^\/p\/(\d+)$/)?.[1];

function photoOf(post) {
  const stage = document.querySelector(`[data-stage="${post}"] .photo`);
  return stage ?? document.querySelector(`[data-photo="${post}"] .photo`);
}

function name(transition, post) {
  const photo = post && photoOf(post);
  if (!photo) return;
  photo.style.viewTransitionName = NAME;
  transition.finished.finally(() => { photo.style.viewTransitionName = ''; });
}

addEventListener('pageswap', (event) => {
  const { viewTransition, activation } = event;
  if (!viewTransition || !activation) return;
  name(viewTransition, postOf(activation.entry?.url) ?? postOf(location.href));
});

addEventListener('pagereveal', (event) => {
  const { viewTransition } = event;
  if (!viewTransition) return;
  name(viewTransition, postOf(location.href) ?? postOf(navigation.activation?.from?.url));
});
