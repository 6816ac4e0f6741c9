// Lists that go on by themselves: the next page is loaded before the end of this one is seen, and
// its items are appended. The link to the next page stays where it is for whoever prefers it.

const list = document.querySelector('[data-list]');

function watch(link) {
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    await append(link);
  }, { rootMargin: '1200px' });
  observer.observe(link);
}

async function append(link) {
  let page;
  try {
    const reply = await fetch(link.href, { headers: { Accept: 'text/html' } });
    if (!reply.ok || reply.redirected) return;
    page = new DOMParser().parseFromString(await reply.text(), 'text/html');
  } catch {
    return;
  }
  // What was there already, such as a comment made meanwhile, is not shown twice.
  const items = [...(page.querySelector('[data-list]')?.children ?? [])];
  const focused = document.activeElement === link;
  const fresh = items.filter((item) => !item.id || !document.getElementById(item.id));
  list.append(...fresh);
  if (focused) fresh[0]?.querySelector('a')?.focus();
  const next = page.querySelector('a[rel=next]');
  if (!next) return link.closest('nav').remove();
  link.href = next.href;
  watch(link);
}

const first = document.querySelector('a[rel=next]');
if (list && first) {
  watch(first);
  first.addEventListener('click', (event) => {
    event.preventDefault();
    append(first);
  });
}
