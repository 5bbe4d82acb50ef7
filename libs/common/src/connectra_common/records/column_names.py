"""What people's tools call the columns of an import: data, part of the field catalogue.

A table has targets (CSV columns of the catalogue, or one of `SPREAD`) with the names that files have for them, the best first: of two
candidates in one header the earlier name wins. Case, accents, blanks and signs do not matter: `E-mail Address`, `emailAddress` and
`E_MAIL ADDRESS` are one name. A number in a name (`Email 2`) makes a weaker candidate of the name without it.

The names are those of LinkedIn, Google Contacts, Outlook and Thunderbird in many languages, HubSpot, Salesforce, Zoho, Pipedrive, Apollo,
ZoomInfo, Evaboot, PhantomBuster, Wiza and others, and what people write by hand.
"""

# Targets that are no field: each row's cells decide which fields they fill (`records/spread.py`).
SPREAD = ("full_name", "last_first_name", "person_url", "company_url")
# Google's numbered phones: a cell for the number, and one that says of what kind it is.
LABELLED_PHONES = range(1, 10)

# Columns whose name means one thing in every file.
NAMES: dict[str, str] = {
    "first_name": """
        first name | given name | forename | firstname | contact first name | first | Vorname | Prénom | Nombre de pila
        Primer nombre | Nome próprio | Nome de batismo | Primeiro nome | Voornaam | Imię | Förnamn | Fornavn | Etunimi | Jméno
        Křestní jméno | Keresztnév | Utónév | Prenume | Adı | İsim | Имя | Ім'я | Όνομα | 名 | 名字 | 이름 | first name (original)
    """,
    "last_name": """
        last name | family name | surname | lastname | contact last name | last | Nachname | Familienname | Zuname | Nom de famille
        Apellidos | Apellido | Primer apellido | Cognome | Sobrenome | Último nome | Achternaam | Familienaam | Nazwisko | Efternamn
        Efternavn | Etternavn | Sukunimi | Příjmení | Priezvisko | Vezetéknév | Családnév | Nume de familie | Soyad | Soyadı
        Soyisim | Фамилия | Прізвище | Επώνυμο | 姓 | 姓氏 | 성 | Apelido
    """,
    "full_name": """
        full name | contact name | person name | person full name | lead name | name (full) | first and last name
        vollständiger Name | Vor- und Nachname | Nom complet | Prénom et nom | Prénom Nom | Nombre completo | Nombre y apellidos
        Nome completo | Nome e cognome | Volledige naam | Imię i nazwisko | Fullständigt namn | Fulde navn | Fullt navn | Koko nimi
        Celé jméno | Teljes név | Ad Soyad | Adı Soyadı | Полное имя | お名前 | Ansprechpartner | contact person | Kontaktperson
        persona de contacto | Nombre del contacto | Nombre de contacto | Nom du contact | Interlocuteur | Nome do contato
        Nome do contacto | Persona di contatto | Contactpersoon | Osoba kontaktowa | Vorname Nachname | Vor-/Nachname
        Vor- und Zuname | Ansprechpartner/in | first/last name | display name | Anzeigename | Nom à afficher
        Nombre en pantalla | Nome visualizzato | file as
        contact
    """,
    "last_first_name": """
        last name, first name | name (last, first) | Name, Vorname | Nachname, Vorname | Nom et prénom | Nom Prénom
        Apellidos y nombre | Apellidos, nombre | Cognome e nome | Cognome nome | Nazwisko i imię | ФИО | 姓名 | 氏名
    """,
    "email": """
        email | email address | work email | business email | professional email | work email address | company email address
        corporate email | contact email | emails | recommended email | current work email | direct email | email - work
        person - email - work | person email work | primary email | email value | person - email | person email | mail | email id
        main email | email addresses | Email pro | Mail pro | Geschäftliche E-Mail | E-Mail geschäftlich
        E-Mail (geschäftlich) | Dienstliche E-Mail | E-Mail-Adresse
        Mailadresse | Primäre E-Mail-Adresse | E-mail professionnel | Email professionnel | Adresse de messagerie | Adresse e-mail
        Adresse email | Adresse électronique | Adresse de courriel | Adresse électronique principale | Courriel | Mél
        Correo electrónico del trabajo | Dirección de correo electrónico | Dirección de correo | Correo electrónico | Correo
        Dirección de correo electrónico principal | Indirizzo di posta elettronica | Indirizzo posta elettronica | Indirizzo e-mail
        Indirizzo email | Posta elettronica | Email principale | Email aziendale | Endereço de e-mail
        Endereço de correio electrónico | Endereço de correio eletrónico | Correio electrónico | Correio eletrónico
        E-mail primário | Email profissional | Email comercial | E-mailadres | Zakelijk e-mailadres | Zakelijke e-mail
        Adres e-mail | Adres email | Adres poczty elektronicznej | Poczta elektroniczna | Służbowy e-mail | E-postadress | E-post
        Epost | E-mailadresse | E-postadresse | Sähköposti | Sähköpostiosoite | E-mailová adresa | E-mail cím | Adresă de e-mail
        E-posta | E-posta adresi | Адрес эл. почты | Адрес электронной почты | Электронная почта | Эл. почта | Почта
        電子メール アドレス | 電子メール | メールアドレス | メール | 电子邮件地址 | 电子邮件 | 邮箱 | 이메일 | 전자 메일 주소
        email - other | email - home | personal email | private email | home email | E-Mail privat | Private E-Mail | other email
        secondary email | Sekundäre E-Mail-Adresse | alternative email | additional email | Adresse électronique secondaire
        Email secondaria | E-mail secundário
    """,
    "email_status": """
        email status | email verification status | email validation status | email verification | Primary Email Status
        verification status | email validity | work email status
    """,
    "title": """
        job title | position title | job position | jobtitle | current job | current job title | current title | work title
        organization title | person title | contact title | contact job title | linkedin job title | Position | current position
        Berufsbezeichnung | Stellenbezeichnung | Positionsbezeichnung | Jobtitel | Funktion | Berufliche Position | Fonction | Poste
        Intitulé du poste | Intitulé de poste | Titre du poste | Titre professionnel | Puesto | Puesto de trabajo | Cargo
        Cargo / Puesto | Qualifica | Posizione | Posizione professionale | Posizione lavorativa | Mansione | Ruolo
        Titolo di lavoro | Função | Posição | Functie | Functietitel | Functienaam | Stanowisko | Stanowisko pracy | Befattning
        Stilling | Stillingsbetegnelse | Tehtävänimike | Pracovní pozice | Pozice | Funkce | Beosztás | Munkakör | Funcție
        İş unvanı | Ünvan | Unvan | Pozisyon | Должность | Посада | 役職 | 職位 | 职务 | 职位 | 직함 | 직책 | title | role
        job role | job | designation | occupation | Profession | Beruf | headline | linkedin headline | Titel | Titre | Titolo
        Título | Tytuł | Tittel
    """,
    "departments": """
        departments | department | organization department | job department | work dept | function | job function | business unit
        division | Abteilung | Bereich | Service | Département | Departamento | Reparto | Dipartimento | Afdeling | Dział | Oddział
        Avdelning | Avdeling | Osasto | Oddělení | Osztály | Departman | Bölüm | Отдел | Подразделение | 部署 | 部門 | 部门 | 부서
    """,
    "seniority": """
        seniority | seniority level | management level | job level | job seniority | level of seniority | Karrierestufe
        Senioritätslevel
    """,
    "stage": """
        stage | contact stage | lead stage | lifecycle stage | lifecyclestage | Lifecycle-Phase | Fase del ciclo de vida
        Etapa del ciclo de vida | Phase du cycle de vie
    """,
    "mobile_phone": """
        mobile phone | mobile no. | mobile phones | cell phone number | Tel. mobil | Mobil-Nr. | Handy-Nr. | mobile
        mobile phone number | mobile number | cell phone | cell | cellphone | cell number | person - phone - mobile
        person phone mobile | phone - mobile | phone mobile | phone (mobile) | contact mobile phone | work mobile | Mobiltelefon
        Mobilnummer | Mobil-Tel.-Nr. | Mobil | Handy | Handynummer | Telefon mobil | Tél. mobile | Téléphone mobile
        Téléphone portable | Tél. portable | Portable | Numéro de mobile | Teléfono móvil | Número de móvil | Móvil | Celular
        Teléfono celular | Cellulare | Telefono cellulare | Telefono mobile | Numero cellulare | Numero di cellulare | Telemóvel
        Telefone celular | Celular comercial | Mobiele telefoon | Mobiel | Mobiel nummer | GSM | Telefon komórkowy | Komórka
        Tel. komórkowy | Numer komórki | Matkapuhelin | Matkapuhelinnumero | Mobilní telefon | Mobilní číslo | Mobiltelefonszám
        Cep telefonu | Cep | GSM numarası | Мобильный телефон | Телефон мобильный | Мобильный | 携帯電話 | 携帯電話番号 | 移动电话
        手机 | 手机号码 | 휴대폰 | Mobile pro | Natel | home mobile
    """,
    "work_direct_phone": """
        work direct phone | direct phone | direct phone number | direct dial | direct line | work phone | business phone
        office phone | business telephone | work telephone | work number | phone - work | phone work | phone (work)
        person - phone - work | person phone work | contact direct phone | Durchwahl | Telefon geschäftlich | Geschäftlich Telefon
        Tel. geschäftlich | Telefon (geschäftlich) | Tel. dienstlich | Telefon dienstlich | Telefon Arbeit | Telefon Büro
        Geschäftstelefon | Téléphone (bureau) | Téléphone bureau | Téléphone professionnel | Tél. professionnel | Tél. bureau
        Ligne directe | Teléfono del trabajo | Teléfono (trabajo) | Teléfono de trabajo | Teléfono trabajo | Teléfono de la oficina
        Telefono (uff.) | Ufficio | Telefono ufficio | Telefono di lavoro | Telefono lavoro | Telefone comercial | Fone comercial
        Telefone do trabalho | Telefone de trabalho | Fone de trabalho | Telefone profissional | Telefoon op werk | Telefoon werk
        Telefoon (werk) | Zakelijk telefoonnummer | Zakelijke telefoon | Doorkiesnummer | Telefon służbowy | Telefon biurowy
        Telefon (praca) | Telefon, arbete | Telefon arbete | Arbetstelefon | Arbejdstelefon | Telefon, arbeid | Telefon arbeid
        Työpuhelin | Telefon do práce | Pracovní telefon | Munkahelyi telefon | İş telefonu | Рабочий телефон | Телефон рабочий
        勤務先電話番号 | 会社電話 | 商务电话 | 单位电话
    """,
    "home_phone": """
        home phone | home telephone | phone - home | phone home | phone (home) | person - phone - home | person phone home
        private phone | Telefon privat | Telefon (privat) | Tel. privat | Privat Telefon | Téléphone (domicile) | Téléphone domicile
        Tél. domicile | Téléphone personnel | Téléphone privé | Particular | Teléfono particular | Teléfono de casa
        Teléfono personal | Telefono (ab.) | Abitazione | Telefono abitazione | Telefono di casa | Telefone residencial
        Telefone da residência | Telefone de casa | Fone de casa | Telefoon thuis | Telefoon (thuis) | Telefoon privé
        Telefon domowy | Hemtelefon | Telefon, hem | Privattelefon | Hjemmetelefon | Kotipuhelin | Telefon domů | Otthoni telefon
        Ev telefonu | Домашний телефон | Телефон дом. | 自宅電話番号 | 住宅电话
    """,
    "other_phone": """
        other phone | other telephone | phone - other | person - phone - other | person phone other | phone (other)
        additional phone | alternative phone | secondary phone | Weiteres Telefon | Anderes Telefon | Téléphone (autre)
        Autre téléphone | Otro teléfono | Altro telefono | Outro telefone | Outro fone | Andere telefoon | Telefoon anders
        Inny telefon
    """,
    "person_linkedin_url": """
        person linkedin url | linkedin person url | linkedin contact url | person linkedin | linkedin url public
        default profile url | contact linkedin url | linkedin contact profile url | linkedin profile url
        linkedin public profile url | public profile url | linkedin profile | linkedin profile link | profile link
        lead linkedin url | prospect linkedin url | LinkedIn-Profil | Profil LinkedIn | Perfil de LinkedIn | Profilo LinkedIn
        Perfil do LinkedIn | linkedin member url | linkedin url unique id | profile url | li profile url | sales navigator url
        lead url | linkedin (person)
    """,
    "city": """
        person city | contact city | mailing city | business city | city (business) | work city | address city | lead city
        business address city | Ort geschäftlich | Ort (geschäftlich) | Stadt geschäftlich | Dienstlich: Ort | Ville (bureau)
        Ville professionnelle | Ciudad de trabajo | Ciudad del trabajo | Ciudad (trabajo) | Città (uff.) | Città di lavoro
        Città ufficio | Cidade comercial | Cidade de trabalho | Cidade do trabalho | Cidade do endereço comercial
        Cidade da empresa | Localidade da empresa | Localidade do trabalho | Werkadres, plaats | Plaats (werk) | Miasto (biuro)
        Miejscowość (biuro) | Miasto (adres służbowy) | Ort, arbete | Stad, arbete | By, arbejde | Poststed, arbeid
        Город (раб. адрес) | Рабочий адрес: город | home city | Ort privat | Privat: Ort | Ville (domicile) | Città (ab.)
        Città di residenza | Cidade de casa | Cidade residencial | Huisadres, plaats | Miasto (dom) | other city
        other address city | Weiterer Ort | Ville (autre) | Otra ciudad | Altra città | Outra cidade
    """,
    "state": """
        person state | contact state | mailing state | mailing state/province | mailing state code | business state | work state
        address region | address state/province | address state | lead state | person region | Bundesland/Kanton geschäftlich
        Region geschäftlich | Bundesland geschäftlich | Dép/Région (bureau) | Provincia o estado de trabajo | Provincia (uff.)
        Provincia di lavoro | Estado comercial | Estado do endereço comercial | Distrito da empresa | Estado/Província da empresa
        Werkadres, provincie | Województwo (biuro) | home state | Bundesland/Kanton privat | Region privat | Dép/Région (domicile)
        Provincia (ab.) | Provincia di residenza | Estado de casa | Huisadres, provincie | Województwo (dom) | other state
        other address state
    """,
    "country": """
        person country | contact country | mailing country | mailing country code | business country | business country/region
        work country | address country | address country/region | lead country | Land/Region geschäftlich | Land geschäftlich
        Dienstlich: Land | Pays/Région (bureau) | Pays (bureau) | País o región del trabajo | País (Trabajo) | País del trabajo
        Paese/area geografica (uff.) | Paese (uff.) | Nazione/Regione di lavoro | Nazione di lavoro | Região/País comercial
        País comercial | País de trabalho | País do endereço comercial | País da empresa | País/Região da empresa
        Land/regio (werk) | Werkadres, land/regio | Kraj/region (biuro) | home country | home country/region | Land/Region privat
        Land privat | Privat: Land | Pays/Région (domicile) | Pays (domicile) | País o región del domicilio
        Paese/area geografica (ab.) | Nazione di residenza | Região/País de casa | Land/regio (thuis) | Kraj/region (dom)
        other country | other country/region
    """,
    "company": """
        company | company name | org | account name | account | organization name | organisation name | organization | organisation
        employer | current company | current employer | linkedin company name | person - organization | person organization
        work company | company / account | associated company | primary company | associated company name | company name (account)
        firm | firm name | business name | agency | Name des Unternehmens | Nom d'entreprise | Razón social | Nombre comercial
        Razão social | Nome fantasia | Denominazione | Firma | Firmenname | Unternehmen | Unternehmensname | Arbeitgeber
        Betrieb
        Société | Entreprise | Nom de l'entreprise | Nom de la société | Raison sociale | Organización | Empresa
        Nombre de la empresa | Nombre de la compañía | Compañía | Società | Azienda | Nome azienda | Nome dell'azienda
        Ragione sociale | Organizzazione | Nome da empresa | Organização | Bedrijf | Bedrijfsnaam | Naam bedrijf | Organisatie
        Werkgever | Nazwa firmy | Przedsiębiorstwo | Organizacja | Företag | Företagsnamn | Virksomhed | Selskap | Bedrift | Yritys
        Yrityksen nimi | Společnost | Spoločnosť | Cég | Cégnév | Vállalat | Companie | Şirket | Şirket adı | Firma adı | Kurum
        Организация | Компания | Название компании | Компанія | 会社名 | 会社 | 勤務先 | 公司 | 公司名称 | 单位 | 회사 | 회사명
    """,
    "company_name_for_emails": """
        company name for emails | company name (cleaned) | cleaned company name | clean company name
    """,
    "company_uuid": """
        company uuid | company.uuid
    """,
    "employees": """
        employees | # employees | employee size | employees size | company employees | number of employees | employee count
        employees count | no. of employees | num employees | numberofemployees | company employee exact count
        company employee count | company headcount | headcount | employees on linkedin | linkedin employees | number of staff
        staff count | Anzahl Mitarbeiter | Mitarbeiterzahl | Mitarbeiteranzahl | Anzahl der Mitarbeiter | Mitarbeiter
        Nombre d'employés | Nombre de salariés | Effectif | Effectifs | Número de empleados | Empleados | Numero di dipendenti
        Dipendenti | Numero dipendenti | Número de funcionários | Funcionários | Número de colaboradores | Aantal medewerkers
        # of employees | nb employees | Mitarbeitende | Nº empleados | Nº de empleados | Nº de funcionários
        Liczba zatrudnionych
        员工人数 | 従業員数 | Aantal werknemers | Medewerkers | Liczba pracowników | Antal anställda | Antal ansatte | company size
        company employee range | employee range | employees range | company size range | Unternehmensgröße | Taille de l'entreprise
        Tamaño de la empresa
    """,
    "industry": """
        industry | industries | company industry | account industry | primary industry | linkedin industry | sector
        company main industry | 行业 | 業種 | industry sector | company industries | business sector | Branche | Branchen
        Wirtschaftszweig | Secteur
        Secteur d'activité | Sector industrial | Industria | Settore | Settore di attività | Setor | Ramo de atividade | Bedrijfstak
        Branża
    """,
    "keywords": """
        keywords | company keywords | company specialities | company specialties | specialities | specialties | Schlagwörter
        Schlüsselwörter | Mots clés | Palabras clave | Parole chiave | Palavras-chave | Trefwoorden | Słowa kluczowe
    """,
    "technologies": """
        technologies | technology | company technologies | web technologies | tech stack | technologies used | Technologien
        Tecnologías | Tecnologie | Tecnologias | Technologieën | Technologie
    """,
    "company_address": """
        company address | company full address | company headquarters (full address) | company headquarters full address
        company headquarters address | headquarters address | hq address | full address | organization - address
        organization address | company street address | Firmenadresse | Firmenanschrift | Adresse de l'entreprise
        Dirección de la empresa | Indirizzo azienda | Endereço da empresa | Bedrijfsadres | Adres firmy | company street
        billing street | billing address | shipping street
    """,
    "company_city": """
        company city | account city | organization city | billing city | headquarters city | hq city | company headquarters city
        company hq city | shipping city | Firmenort | Firmensitz (Ort) | Ville de l'entreprise | Ciudad de la empresa
        Città azienda | Cidade da companhia | Vestigingsplaats | Miasto firmy
    """,
    "company_state": """
        company state | account state | organization state | billing state | billing state/province | billing state code
        headquarters state | hq state | company region | company headquarters state | shipping state | shipping state/province
    """,
    "company_country": """
        company country | account country | organization country | billing country | billing country code | headquarters country
        hq country | company headquarters country | company country code | shipping country | Firmenland | Pays de l'entreprise
        País de la empresa | Paese azienda | Kraj firmy
    """,
    "company_linkedin_url": """
        company linkedin url | company linkedin | linkedin company url | linkedin company page | linkedin company profile url
        company linkedin profile | company linkedin page | linkedin company profile | account linkedin url
        organization linkedin url | regular company url | company linkedin link | linkedin company link | organization linkedin
        company linkedin url unique id | company li profile url | linkedin (company) | LinkedIn-Unternehmensseite
    """,
    "company_phone": """
        company phone | company main phone | company phone number | corporate phone | company hq phone | headquarters phone
        hq phone | hq phone number | hq main phone | main company phone | organization phone | account phone | switchboard
        company switchboard
        Telefon Firma | Firma Telefon | Hauptnummer Firma | Telefonzentrale | Téléphone société | Téléphone principal de la société
        Standard téléphonique | Teléfono principal de la organización | Teléfono de la empresa | Teléfono principal de la compañía
        Telefono principale società | Centralino | Telefone da empresa | Telefone principal da empresa | Hoofdtelefoon bedrijf
        Telefoon bedrijf | Główny telefon firmy | Telefon firmy
    """,
    "website": """
        company website | company website url | company homepage | company site | website | website url | homepage | web site
        web page | web | web address | website address | Sito | 网址 | business homepage | organization website
        account website | Webseite | Website der Firma | Internetseite
        Internet | Firmenwebsite | Page web | Page Web d'entreprise | Site web | Site internet | Página web | Página Web | Sitio web
        Pagina Web | Sito web | Sito internet | Página da Web | Site da empresa | Página de Internet | Webpagina | Bedrijfswebsite
        Strona sieci Web | Strona WWW | Strona internetowa | WWW | Webbsida | Webbplats | Hjemmeside | Nettside | Verkkosivu
        Webová stránka | Weblap | Web sayfası | Веб-страница | Сайт | ホームページ | 网站 | 网页
    """,
    "person_website": """
        personal website | personal web page | personal homepage | person website | private website | Persönliche Webseite
        Private Webseite | Page Web personnelle | Página web personal | Pagina Web personale | Página pessoal da Web
        Persoonlijke webpagina | Osobista strona sieci Web
    """,
    "company_domain": """
        company domain | company domain name | domain name | domain | normalized domain | normalised domain | company website domain
        website domain | primary domain | organization domain | account domain | Domäne | Domain-Name | Firmendomain | Dominio
        Domaine | Domínio | Domein | Domena | email domain
    """,
    "facebook_url": """
        facebook url | facebook | facebook page | facebook link | facebook profile
    """,
    "twitter_url": """
        twitter url | twitter | twitter link | x url | twitter profile | x profile
    """,
    "person_facebook_url": """
        person facebook url | contact facebook url
    """,
    "person_twitter_url": """
        person twitter url | contact twitter url
    """,
    "company_facebook_url": """
        company facebook url | facebook company page | company facebook | company facebook page | organization facebook url
        facebook company profile url
    """,
    "company_twitter_url": """
        company twitter url | company twitter | twitter company page | company x url | organization twitter url
        twitter company profile url
    """,
    "annual_revenue": """
        annual revenue | estimated revenue | company annual revenue | revenue | company revenue | yearly revenue
        estimated annual revenue | company annual revenue range | estimated revenue range | revenue (in usd) | revenue (in 000s usd)
        turnover | annual turnover | Jahresumsatz | Umsatz | Chiffre d'affaires | Chiffre d'affaires annuel | Ingresos anuales
        Facturación | Facturación anual | Fatturato | Fatturato annuo | Receita anual | Faturamento | Faturamento anual | Jaaromzet
        Omzet | Przychód | Przychody | Roczny obrót | Przychody roczne | revenue range | revenue range (in usd)
    """,
    "total_funding": """
        total funding | total money raised | total funding amount | funding total | company total funding
        total funding amount (in usd) | Gesamtfinanzierung
    """,
    "latest_funding": """
        latest funding | last funding type | latest funding type | latest funding round | last funding round | latest funding stage
        recent funding round | funding stage | company funding stage | last funding stage
    """,
    "latest_funding_amount": """
        latest funding amount | last funding amount | last funding amount (in usd) | latest funding round amount
        recent funding amount
    """,
    "last_raised_at": """
        last raised at | last funding date | latest funding date | last funding at | company last funding date | recent funding date
    """,
}

# Columns whose name alone does not say whose they are: (in a file of people, in a file of companies). None: nothing there.
BARE: dict[tuple[str | None, str | None], str] = {
    ("uuid", "company_uuid"): """
        uuid
    """,
    ("city", "company_city"): """
        city | town | city/town | location city | Ort | Stadt | Wohnort | Ville | Ciudad | Población | Localidad | Città
        Cidade | Localidade
        Plaats | Woonplaats | Stad | Miasto | Miejscowość | Postort | Poststed | Kaupunki | Město | Város | Şehir | Город | 市区町村
        城市 | 市 | 도시
    """,
    ("state", "company_state"): """
        state | state/region | state/province | region | province | Bundesland | Bundesland/Region | Kanton
        Bundesland/Kanton | Région | Provincia
        Estado | Provincia o estado | Estado/Região | Provincie | Województwo | Län | Maakunta | Область | Регион | 都道府県 | 省
    """,
    ("country", "company_country"): """
        country | country/region | location country | nation | Land | Land/Region | Pays | Pays/Région | País
        País o región | País/región
        País/Região | Paese | Nazione | Paese/area geografica | Land/regio | Kraj | Kraj/region | Maa | Země | Ország | Țara | Ülke
        Страна | 国 | 国/地域 | 国家 | 국가
    """,
    ("phone", "company_phone"): """
        phone | phone number | phones | contact number | contact no. | Tel. Nr. | Telefonnr. | telephone | telephone number | tel
        tel. | phone no. | phone numbers | Telefon | Telefonnummer | Tel.-Nr. | Rufnummer | Festnetz | Festnetznummer
        Tel. fixe | Téléphone fixe | Téléphone
        Numéro de téléphone | Teléfono | Número de teléfono | Telefono | Numero di telefono | Telefone | Fone | Número de telefone
        Telefoon | Telefoonnummer | Numer telefonu | Puhelin | Puhelinnumero | Telefonní číslo | Telefonszám | Телефон
        Номер телефона | 電話 | 電話番号 | 电话 | 전화번호 | primary phone | main phone | Haupttelefon | Téléphone principal
        Teléfono principal | Telefono principale | Telefone principal | Fone primario | Hoofdtelefoon | Telefon główny
    """,
    (None, "company_phone"): """
        organization phone number
    """,
    ("person_linkedin_url", "company_linkedin_url"): """
        linkedin url | linkedin | linkedin link | li url | linkedin page | linkedin (url) | linkedin address
    """,
    ("person_url", "company_url"): """
        url | link | website value | profile
    """,
    ("company_url", "company_url"): """
        company url | company link | company profile url | organization url
    """,
    (None, "company_address"): """
        address | street address | street | full street | headquarters | Adresse | Anschrift | Straße | Rue | Dirección | Calle
        Indirizzo | Endereço | Adres | Morada | Adress
    """,
    (None, "keywords"): """
        tags
    """,
}

# A bare "name": of a company, a whole name, or the half of a name that the header lacks.
NAME = """
    name | Nom | Nombre | Nome | Naam | Nazwa | Namn | Navn | Nimi | Název | Név | Название | Наименование | 名前 | 名称
"""
# Words that also stand for the salutation: of two columns so called the later one is the job title, as in French Outlook.
SALUTATIONS = "title | Titel | Titre | Titolo | Título | Tytuł | Tittel"
# What tells a file of companies from a file of people.
PERSONAL = frozenset(
    {
        "first_name",
        "last_name",
        "full_name",
        "last_first_name",
        "title",
        "seniority",
        "mobile_phone",
        "work_direct_phone",
        "home_phone",
    }
    | {"person_linkedin_url", "email_status", "person_website"}
)
FIRMLIKE = frozenset(
    {
        "employees",
        "industry",
        "technologies",
        "annual_revenue",
        "total_funding",
        "latest_funding",
        "company_domain",
        "website",
    }
    | {
        "latest_funding_amount",
        "last_raised_at",
        "keywords",
        "company_linkedin_url",
        "company_name_for_emails",
        "company_phone",
    }
)
# Read-only columns of our own exports and what the file of rejected rows puts in front.
OWN = frozenset({"id", "createdat", "updatedat", "deletedat", "rowversion"})
REJECTED = ("line", "reason")
# What may stand before a name and only says whose it is.
OF_A_COMPANY = ("company", "account", "organization", "organisation", "org")
OF_A_PERSON = ("contact", "person", "lead", "prospect")
