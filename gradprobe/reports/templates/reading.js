// Finding one's way: the contents, links into what is folded away, and printing.
{
  const NARROW = "(max-width: 60rem)";

  const foldContents = () => {
    const contents = document.querySelector("#contents");
    const narrow = matchMedia(NARROW);
    const follow = () => {
      contents.open = !narrow.matches;
    };
    follow();
    narrow.addEventListener("change", follow);
    contents.addEventListener("click", (event) => {
      if (narrow.matches && event.target.closest("a")) contents.open = false;
    });
  };

  const unfold = (target) => {
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
    }
  };

  const followAddress = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    unfold(target);
    target.scrollIntoView();
  };

  // Mark the section that is being read.
  const followReading = () => {
    const links = new Map();
    for (const link of document.querySelectorAll("#contents a")) {
      const section = document.getElementById(link.hash.slice(1))?.closest("section");
      if (section) links.set(section, link);
    }
    const seen = new Set();
    const watcher = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) {
        if (isIntersecting) seen.add(target);
        else seen.delete(target);
      }
      const current = [...links.keys()].find((section) => seen.has(section));
      for (const [section, link] of links) {
        if (section === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }, { rootMargin: "-15% 0px -70% 0px" });
    for (const section of links.keys()) watcher.observe(section);
  };

  const printWhatIsFolded = () => {
    let opened = [];
    addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll("main details:not(.numbers):not([open])")) {
        details.open = true;
        opened.push(details);
      }
    });
    addEventListener("afterprint", () => {
      opened.forEach((details) => { details.open = false; });
      opened = [];
    });
  };

  document.documentElement.classList.add("scripted");
  foldContents();
  followReading();
  printWhatIsFolded();
  addEventListener("hashchange", followAddress);
  if (location.hash) followAddress();
}
