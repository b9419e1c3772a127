# Writes people's S/MIME certificates into Active Directory, where Outlook and
# Exchange find them; Entra Connect brings them to Exchange Online. Run it as
# somebody who may change users, where the module ActiveDirectory is installed.
# A certificate that is there already is not written again; others stay.
$ErrorActionPreference = 'Stop'
Import-Module ActiveDirectory

function Set-Certificate([string] $Address, [string] $Certificate) {
    $mail = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($Address))
    $bytes = [Convert]::FromBase64String($Certificate)
    # RFC 4515 section 3: what means something in a filter is written as its number.
    $escaped = $mail.Replace('\', '\5c').Replace('*', '\2a').Replace('(', '\28').Replace(')', '\29')
    $user = @(Get-ADUser -LDAPFilter "(mail=$escaped)" -Properties userCertificate)
    if ($user.Count -ne 1) {
        Write-Warning "$mail belongs to $($user.Count) users: left out."
        return
    }
    foreach ($known in $user[0].userCertificate) {
        if ([Convert]::ToBase64String($known) -eq $Certificate) { return }
    }
    Set-ADUser $user[0] -Certificates @{ Add = (New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $bytes)) }
    Write-Host "$mail"
}

